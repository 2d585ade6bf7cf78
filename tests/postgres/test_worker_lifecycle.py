"""A worker's life: what it waits for, when it claims, that it works once."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.support import ledger
from tests.support.worker import eventually
from tidemill import App, NewTask
from tidemill.client import Client
from tidemill.errors import DatabaseUnavailable
from tidemill.settings import Settings
from tidemill.store import Store
from tidemill.store.claimer import Claimer
from tidemill.store.leases import LeaseStore
from tidemill.store.workers import WorkerStore
from tidemill_worker import Worker


def counted(calls: list[str], name: str, act: Callable[..., Any]) -> Callable[..., Any]:
    """Return `act`, noting each call by its name."""

    def call(*args: Any, **kw: Any) -> Any:
        calls.append(name)
        return act(*args, **kw)

    return call


async def test_while_heartbeats_fail_nothing_is_claimed_and_then_it_goes_on(
    app: App,
    settings: Settings,
    client: Client,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @app.task
    async def task() -> None: ...

    async def fail(*_: object) -> None:
        raise DatabaseUnavailable("cut off")

    calls: list[str] = []
    monkeypatch.setattr(Claimer, "claim", counted(calls, "claim", Claimer.claim))
    often = replace(settings, heartbeat_seconds=0.1, poll_seconds=0.05)
    async with Worker(app, settings=often) as worker:
        dispatcher = worker._parts.dispatcher
        with monkeypatch.context() as broken:
            broken.setattr(WorkerStore, "heartbeat", fail)
            await eventually(lambda: not worker.claiming)
            assert worker.ready  # so a database that is away does not make pods the first victims
            await client.enqueue_many([NewTask(type="task") for _ in range(5)])
            broken.setattr(dispatcher, "_limits", counted(calls, "look", dispatcher._limits))
            calls.clear()
            await eventually(lambda: calls.count("look") >= 5)
            assert "claim" not in calls
        assert await asyncio.wait_for(worker.run_until_empty(), 60)
    assert (await ledger.balance(store))["succeeded"] == 5


async def test_a_slot_is_free_only_when_the_outcome_is_recorded(
    app: App,
    settings: Settings,
    client: Client,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Or a worker that cannot record would run ever more tasks that it may have to run again."""
    runs: list[int] = []

    @app.task
    async def task(n: int) -> None:
        runs.append(n)

    recording, go_on, finish = asyncio.Event(), asyncio.Event(), LeaseStore.finish

    async def finish_late(leases: LeaseStore, *args: Any) -> Any:
        recording.set()
        await go_on.wait()
        return await finish(leases, *args)

    monkeypatch.setattr(LeaseStore, "finish", finish_late)
    often = replace(settings, concurrency=2, prefetch="0", poll_seconds=0.05)
    async with Worker(app, settings=often) as worker:
        await client.enqueue_many([NewTask(type="task", payload={"n": n}) for n in range(6)])
        await eventually(lambda: len(runs) == 2)
        await recording.wait()
        calls: list[str] = []
        dispatcher = worker._parts.dispatcher
        monkeypatch.setattr(dispatcher, "_limits", counted(calls, "look", dispatcher._limits))
        await eventually(lambda: len(calls) >= 5)
        assert (runs, worker.leases, worker.running) == ([0, 1], 2, 0)
        go_on.set()
        assert await asyncio.wait_for(worker.run_until_empty(), 60)
    assert sorted(runs) == list(range(6))
    assert (await ledger.balance(store))["succeeded"] == 6


async def test_a_start_that_is_given_up_leaves_nothing_running(
    app: App, settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGTERM in the middle of a start."""

    @app.task
    async def task() -> None: ...

    registered, register = asyncio.Event(), WorkerStore.register

    async def register_and_wait(workers: WorkerStore, *args: Any) -> Any:
        worker = await register(workers, *args)
        registered.set()
        return worker

    monkeypatch.setattr(WorkerStore, "register", register_and_wait)
    worker = Worker(app, settings=settings)
    monkeypatch.setattr(worker._parts.finisher, "start", asyncio.Event().wait)
    starting = asyncio.create_task(worker.start())
    await asyncio.wait_for(registered.wait(), 30)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not worker.ready
    left = "SELECT count(*) FROM tidemill.workers WHERE left_at IS NULL"
    assert await store.db.fetchval(left) == 0
    assert (await worker.stop()).clean


async def test_a_worker_works_once(app: App, settings: Settings) -> None:
    @app.task
    async def task() -> None: ...

    worker = Worker(app, settings=settings)
    async with worker:
        with pytest.raises(RuntimeError, match="works once"):
            await worker.start()
        assert worker.ready
    with pytest.raises(RuntimeError, match="works once"):
        await worker.start()
