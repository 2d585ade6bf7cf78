"""Handlers that must stop: past their timeout, cancelled, or without a lease."""

import asyncio
import threading

import pytest

from tests.support.worker import Bench, claimed, eventually, run_of
from tidemill import App, Context
from tidemill.sdk.context import StopReason
from tidemill.states import Outcome


@pytest.fixture
def app() -> App:
    return App()


async def test_a_coroutine_past_its_timeout_is_cancelled(app: App) -> None:
    cleaned = asyncio.Event()

    @app.task
    async def task() -> None:
        try:
            await asyncio.sleep(600)
        finally:
            cleaned.set()

    bench = Bench(app, concurrency=1)
    finish = await bench.run(timeout_seconds=0.05)
    assert cleaned.is_set()
    assert finish.outcome is Outcome.RETRY
    assert finish.error is not None
    assert finish.error["type"] == "TimedOut"
    assert 0.05 <= finish.run_seconds < 600
    await bench.slots.idle()  # the slot is free again


async def test_a_function_past_its_timeout_is_recorded_and_keeps_its_slot(app: App) -> None:
    go_on = threading.Event()
    seen: list[StopReason | None] = []

    @app.task
    def task(context: Context) -> None:
        go_on.wait(100)
        seen.append(context.stop_reason)

    bench = Bench(app, concurrency=1)
    finish = await bench.run(timeout_seconds=0.05)
    assert finish.outcome is Outcome.RETRY
    assert (bench.slots.in_use, bench.slots.stuck, bench.slots.usable) == (1, 1, 0)
    go_on.set()
    await bench.slots.idle()
    assert seen == [StopReason.TIMEOUT]
    assert bench.finishes == []  # its return is no second outcome


async def test_a_coroutine_that_ignores_its_cancellation_is_recorded_without_it(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill_worker.watch.STOP_GRACE_SECONDS", 0.05)
    go_on = asyncio.Event()

    @app.task
    async def task() -> None:
        while not go_on.is_set():
            try:
                await go_on.wait()
            except asyncio.CancelledError:
                continue

    bench = Bench(app, concurrency=1)
    assert (await bench.run(timeout_seconds=0.05)).outcome is Outcome.RETRY
    assert bench.slots.stuck == 1
    go_on.set()
    await bench.slots.idle()
    assert bench.finishes == []


async def test_a_lost_lease_stops_the_handler_and_records_nothing(app: App) -> None:
    stopped: list[StopReason | None] = []

    @app.task
    async def task(context: Context) -> None:
        try:
            await asyncio.sleep(600)
        finally:
            stopped.append(context.stop_reason)

    bench = Bench(app, concurrency=1)
    running, waiting = run_of(claimed()), run_of(claimed())
    bench.slots.offer([running, waiting])
    await eventually(lambda: running.runner is not None)
    bench.slots.lost(running)
    bench.slots.lost(waiting)
    await bench.slots.idle()
    assert stopped == [StopReason.LEASE_LOST]
    assert bench.lost == [running, waiting]
    assert bench.finishes == []


async def test_a_cancelled_task_stops_or_never_starts(app: App) -> None:
    started: list[int] = []

    @app.task
    async def task(n: int) -> None:
        started.append(n)
        await asyncio.sleep(600)

    bench = Bench(app, concurrency=1)
    running, waiting = (run_of(claimed(payload={"n": n})) for n in (1, 2))
    bench.slots.offer([running, waiting])
    await eventually(lambda: running.runner is not None)
    bench.slots.cancelled(waiting)
    bench.slots.cancelled(running)
    await bench.slots.idle()
    assert [finish.outcome for finish in bench.finishes] == [Outcome.CANCELLED] * 2
    assert started == [1]
