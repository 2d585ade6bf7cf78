"""A worker that works until nothing is left, here or elsewhere."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.support import ledger
from tests.support.worker import eventually
from tidemill import App, NewTask
from tidemill.client import Client
from tidemill.models import WorkerInfo
from tidemill.retry import RetryPolicy
from tidemill.settings import Settings
from tidemill.states import Status
from tidemill.store import Store
from tidemill.store.claimer import Claimer
from tidemill.store.remaining import Remaining, RemainingStore
from tidemill_worker import Worker


@pytest.fixture
def slow_poll(settings: Settings) -> Settings:
    """What is found by polling is found too late for a test."""
    return replace(settings, poll_seconds=3600.0)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[Remaining]:
    """What workers saw when they looked whether anything is left."""
    seen: list[Remaining] = []
    look = RemainingStore.look

    async def noted(store: RemainingStore, *args: Any, **kw: Any) -> Remaining:
        seen.append(await look(store, *args, **kw))
        return seen[-1]

    monkeypatch.setattr(RemainingStore, "look", noted)
    return seen


def tasks(kind: str, count: int, **fields: Any) -> Sequence[NewTask]:
    return [NewTask(type=kind, **fields) for _ in range(count)]


async def test_it_runs_all_that_waits_and_what_that_enqueues(
    app: App, slow_poll: Settings, client: Client, store: Store
) -> None:
    @app.task
    async def parent(n: int) -> None:
        await client.enqueue_many(tasks("child", n, queue=f"made{n}"))

    @app.task
    def child() -> None: ...

    @app.task
    async def wrong() -> None:
        raise ValueError

    await client.enqueue_many([NewTask(type="parent", payload={"n": n}) for n in (1, 2, 3)])
    await client.enqueue_many(tasks("wrong", 2, max_retries=0))
    assert await Worker(app, settings=slow_poll).run_until_empty()
    assert await ledger.balance(store) == dict.fromkeys(ledger.STATUSES, 0) | {
        "succeeded": 9,
        "failed": 2,
    }


async def test_a_worker_that_goes_on_can_be_asked_again(
    app: App, slow_poll: Settings, client: Client, store: Store
) -> None:
    @app.task
    async def task() -> None: ...

    async with Worker(app, settings=slow_poll) as worker:
        assert await worker.run_until_empty()
        for total in (500, 1000):
            await client.enqueue_many(tasks("task", 500))
            assert await worker.run_until_empty()
            assert (await ledger.balance(store))["succeeded"] == total
        assert worker.ready


async def test_nobody_waits_for_what_this_worker_cannot_run_now(
    app: App, settings: Settings, client: Client, store: Store
) -> None:
    @app.task
    async def task() -> None: ...

    @app.task
    async def paused() -> None: ...

    await client.enqueue_many(
        [
            NewTask(type="task"),
            NewTask(type="task", queue="held"),
            NewTask(type="paused"),
            NewTask(type="stranger"),
            NewTask(type="task", delay_seconds=3600),
            NewTask(type="task", queue="others"),
        ]
    )
    await store.queues.pause("held")
    await store.types.register(app.types(), app="test")
    await store.types.pause("paused")
    only = replace(settings, queues="default,held")
    assert await Worker(app, settings=only).run_until_empty()
    assert await ledger.balance(store) == dict.fromkeys(ledger.STATUSES, 0) | {
        "queued": 2,  # of the paused queue, and of the queue that is not this worker's
        "scheduled": 3,  # delayed, of the paused type, and the stranger that went back
        "succeeded": 1,
    }


async def test_what_is_due_soon_is_waited_for_when_asked(
    app: App, settings: Settings, client: Client, store: Store
) -> None:
    @app.task(retry=RetryPolicy("fixed", base_seconds=1.0))
    async def second_time_lucky() -> None:
        runs.append("run")
        if len(runs) == 1:
            raise ValueError

    runs: list[str] = []
    worker = Worker(app, settings=settings)
    await client.enqueue(NewTask(type="second_time_lucky"))
    await client.enqueue(NewTask(type="second_time_lucky", delay_seconds=3600))
    await client.enqueue(NewTask(type="stranger", delay_seconds=20))  # never this worker's
    assert await worker.run_until_empty(due_within=60)
    assert len(runs) == 2
    assert (await ledger.balance(store))["scheduled"] == 2


async def test_a_task_that_runs_elsewhere_is_waited_for(
    app: App, slow_poll: Settings, client: Client, store: Store, looks: list[Remaining]
) -> None:
    go_on, elsewhere = asyncio.Event(), App()

    async def task() -> None:
        await go_on.wait()

    app.task(task)
    elsewhere.task(task)
    async with Worker(elsewhere, settings=slow_poll) as holder:
        await client.enqueue(NewTask(type="task"))
        await eventually(lambda: holder.running == 1)
        async with Worker(app, settings=slow_poll) as worker:
            waiting = asyncio.create_task(worker.run_until_empty())
            await eventually(lambda: len(looks) > 2)
            assert not waiting.done()
            assert looks[-1] == Remaining((), running=True, due=False)
            go_on.set()
            assert await asyncio.wait_for(waiting, 60)
    assert (await ledger.balance(store))["succeeded"] == 1


async def test_what_a_dead_worker_held_runs_before_it_ends(
    app: App, settings: Settings, client: Client, store: Store
) -> None:
    @app.task
    async def task() -> None: ...

    stored = await client.enqueue(NewTask(type="task"))
    info = WorkerInfo(name="dead", slots=1, queues=("*",), version="0", hostname="h", pid=1)
    dead = Claimer(store, await store.workers.register(info), queues=None, lease_seconds=1.0)
    assert len(await dead.claim(1)) == 1
    assert await Worker(app, settings=replace(settings, recover_seconds=0.2)).run_until_empty()
    task_now = await client.get(stored.id)
    assert (task_now.status, task_now.retry_count) == (Status.SUCCEEDED, 1)


async def test_stopped_before_all_is_done_it_says_so(
    app: App, slow_poll: Settings, client: Client, store: Store
) -> None:
    @app.task
    async def task() -> None:
        await asyncio.sleep(60)

    await client.enqueue(NewTask(type="task"))
    async with Worker(app, settings=replace(slow_poll, drain_seconds=0)) as worker:
        waiting = asyncio.create_task(worker.run_until_empty())
        await eventually(lambda: worker.running == 1)
        await worker.stop()
        assert not await asyncio.wait_for(waiting, 60)
        assert not await asyncio.wait_for(worker.run_until_empty(), 60)
    assert (await ledger.balance(store))["queued"] == 1
