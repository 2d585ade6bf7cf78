"""A task's way through a real worker on a real database."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from uuid import UUID

import pytest

from tests.support.worker import eventually, eventually_async, finished
from tidemill import App, Context, Discard, NewTask, Retry, Snooze
from tidemill.client import Client
from tidemill.models import Task
from tidemill.settings import Settings
from tidemill.states import Event, Status
from tidemill.store import Store
from tidemill_worker import Worker

Run = Callable[..., Awaitable[Task]]


@pytest.fixture
def run(app: App, settings: Settings, store: Store, client: Client) -> Run:
    async def enqueue_and_finish(kind: str = "task", **task: object) -> Task:
        async with Worker(app, settings=settings):
            stored = await client.enqueue(NewTask(type=kind, **task))  # type: ignore[arg-type] # fields of NewTask
            return await finished(store, stored.id)

    return enqueue_and_finish


async def events(store: Store, task_id: UUID) -> list[Event]:
    return [event.event_type for event in await store.tasks.history(task_id)]


async def test_a_task_succeeds_and_its_result_is_kept(app: App, run: Run, store: Store) -> None:
    @app.task
    async def task(x: int) -> dict[str, int]:
        return {"doubled": 2 * x}

    task_now = await run(payload={"x": 21})
    assert (task_now.status, task_now.result) == (Status.SUCCEEDED, {"doubled": 42})
    assert (task_now.retry_count, task_now.last_error) == (0, None)
    assert task_now.started_at is not None
    assert await events(store, task_now.id) == [
        Event.TASK_QUEUED,
        Event.TASK_STARTED,
        Event.TASK_SUCCEEDED,
    ]


async def test_a_failed_attempt_is_retried(app: App, run: Run, store: Store) -> None:
    @app.task
    async def task(context: Context) -> int:
        if context.attempt == 1:
            raise ConnectionError("not yet")
        return context.attempt

    task_now = await run()
    assert (task_now.status, task_now.result, task_now.retry_count) == (Status.SUCCEEDED, 2, 1)
    assert await events(store, task_now.id) == [
        Event.TASK_QUEUED,
        Event.TASK_STARTED,
        Event.RETRY_SCHEDULED,
        Event.TASK_STARTED,
        Event.TASK_SUCCEEDED,
    ]
    history = await store.tasks.history(task_now.id)
    assert history[2].error is not None
    assert history[2].error["type"] == "ConnectionError"
    assert history[2].error["message"] == "not yet"
    assert "raise ConnectionError" in history[2].error["traceback"]


async def test_a_task_whose_retries_run_out_is_a_dead_letter(app: App, run: Run) -> None:
    @app.task(max_retries=1)
    async def task() -> None:
        raise Retry("never", after=0.01)

    task_now = await run()
    assert (task_now.status, task_now.retry_count) == (Status.FAILED, 1)
    assert task_now.last_error is not None
    assert task_now.last_error["message"] == "never"


async def test_a_task_past_its_timeout_is_a_failed_attempt(app: App, run: Run) -> None:
    @app.task(max_retries=0, timeout_seconds=0.1)
    async def task() -> None:
        await asyncio.sleep(60)

    task_now = await run()
    assert task_now.status is Status.FAILED
    assert task_now.last_error is not None
    assert task_now.last_error["type"] == "TimedOut"


async def test_discard_and_snooze_are_honoured(app: App, run: Run, store: Store) -> None:
    snoozed: list[int] = []

    @app.task
    async def discarded() -> None:
        raise Discard("no use")

    @app.task(max_retries=0)
    async def sleepy(context: Context) -> int:
        snoozed.append(context.attempt)
        if len(snoozed) == 1:
            raise Snooze(0.01)
        return context.attempt

    assert (await run("discarded")).status is Status.FAILED
    task_now = await run("sleepy")
    assert (task_now.status, task_now.result, task_now.retry_count) == (Status.SUCCEEDED, 1, 0)
    assert Event.TASK_SNOOZED in await events(store, task_now.id)


async def test_a_type_that_this_worker_lacks_waits_uncharged_for_one_that_has_it(
    app: App, settings: Settings, store: Store, client: Client
) -> None:
    @app.task
    async def other() -> None: ...

    async def snoozed() -> bool:
        return Event.TASK_SNOOZED in await events(store, stored.id)

    async with Worker(app, settings=settings):
        stored = await client.enqueue(NewTask(type="elsewhere"))
        await eventually_async(snoozed)
    task = await client.get(stored.id)
    assert (task.status, task.retry_count) == (Status.SCHEDULED, 0)


async def test_starting_registers_the_types_and_the_worker(
    app: App, settings: Settings, store: Store
) -> None:
    @app.task(queue="mail", timeout_seconds=7)
    async def send(to: str) -> None: ...

    async with Worker(app, settings=settings) as worker:
        assert worker.ready
        assert (await store.workers.heartbeat(worker.identity)).known
        (registered,) = await store.types.list()
    assert not worker.ready
    assert not (await store.workers.heartbeat(worker.identity)).known
    assert (registered.name, registered.queue, registered.timeout_seconds) == ("send", "mail", 7)
    assert registered.schema == send.codec.schema


async def test_a_worker_runs_only_its_queues(
    app: App, settings: Settings, store: Store, client: Client
) -> None:
    @app.task
    async def task() -> None: ...

    async with Worker(app, settings=replace(settings, queues="wanted,other=3")):
        unwanted, wanted = await client.enqueue_many(
            [NewTask(type="task", queue="unwanted"), NewTask(type="task", queue="wanted")]
        )
        assert (await finished(store, wanted.id)).status is Status.SUCCEEDED
    left = await client.get(unwanted.id)
    assert left.status is Status.QUEUED


async def test_a_busy_worker_that_hears_no_hints_looks_as_often_as_an_idle_one(
    app: App, settings: Settings, store: Store
) -> None:
    """Outcomes wake its claim loop more often than it polls: that must not put off the poll."""
    ended: list[int] = []

    @app.task
    async def task(n: int) -> None:
        await asyncio.sleep(0.1)
        ended.append(n)

    deaf = replace(settings, database_pooler="transaction", poll_seconds=0.3)
    async with Worker(app, settings=replace(deaf, concurrency=2, prefetch="400")) as worker:
        await store.tasks.enqueue([NewTask(type="task", payload={"n": n}) for n in range(400)])
        await eventually(lambda: worker.leases > 380)
        (late,) = await store.tasks.enqueue([NewTask(type="task", payload={"n": 400})])

        async def claimed() -> bool:
            found = await store.tasks.get(late.id)
            return found is not None and found.status is not Status.QUEUED

        await eventually_async(claimed)
        assert len(ended) < 350


@pytest.mark.timeout(300)
async def test_eight_workers_record_each_of_20_000_tasks_once(
    app: App, settings: Settings, store: Store
) -> None:
    runs: Counter[int] = Counter()

    @app.task
    async def task(n: int) -> None:
        runs[n] += 1
        if n % 100 == 0:
            await asyncio.sleep(0)

    tasks = [NewTask(type="task", payload={"n": n}) for n in range(20_000)]
    for start in range(0, len(tasks), 5000):
        await store.tasks.enqueue(tasks[start : start + 5000])
    workers = [Worker(app, settings=settings) for _ in range(8)]
    await asyncio.gather(*(worker.start() for worker in workers))
    try:
        await eventually(lambda: len(runs) == len(tasks), seconds=240)
    finally:
        await asyncio.gather(*(worker.stop() for worker in workers))
    recorded = await store.db.fetch(
        "SELECT outcome, count(*), count(DISTINCT task_id) AS tasks FROM tidemill.attempts"
        " WHERE outcome <> 'released' GROUP BY outcome"
    )
    assert [tuple(row) for row in recorded] == [("succeeded", 20_000, 20_000)]
    assert await store.db.fetchval("SELECT count(*) FROM tidemill.leases") == 0
    assert await store.db.fetchval("SELECT count(*) FROM tidemill.ready") == 0
    assert set(runs.values()) == {1}
