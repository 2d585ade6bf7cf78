"""Middleware around runs: order, what it may change, and what it costs those who have none."""

import asyncio
import contextvars
import threading
from typing import Any

import pytest

from tests.support.worker import Bench, claimed, eventually, run_of
from tidemill import App, Context, Middleware
from tidemill.sdk.context import StopReason, current
from tidemill.sdk.middleware import Call
from tidemill.states import Outcome
from tidemill_worker.around import around

tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="nobody")


class Noting(Middleware):
    """Writes down when a run begins and how it ends."""

    def __init__(self, name: str, notes: list[str]) -> None:
        self.name, self.notes = name, notes

    async def run(self, context: Context, call: Call) -> Any:
        self.notes.append(f"{self.name} before {context.type} {context.attempt}")
        try:
            return await call()
        finally:
            self.notes.append(f"{self.name} after")


class Silent(Middleware):
    """Leaves runs alone."""


def declared(app: App, mode: str, body: Any) -> None:
    async def waits() -> Any:
        await asyncio.sleep(0)
        return body()

    async def ends_at_once() -> Any:
        return body()

    def in_thread() -> Any:
        return body()

    handlers = {"waits": waits, "ends at once": ends_at_once, "thread": in_thread}
    app.task(name="task")(handlers[mode])


MODES = pytest.mark.parametrize("mode", ["ends at once", "waits", "thread"])


@MODES
async def test_the_first_middleware_is_outermost_whatever_the_handler_s_mode(mode: str) -> None:
    notes: list[str] = []
    app = App(middleware=[Noting("a", notes), Silent(), Noting("b", notes)])

    def body() -> str:
        notes.append("handler")
        return "done"

    declared(app, mode, body)
    finish = await Bench(app).run(retry_count=1)
    assert (finish.outcome, finish.result) == (Outcome.SUCCEEDED, "done")
    assert notes == ["a before task 2", "b before task 2", "handler", "b after", "a after"]


def test_middleware_that_leaves_runs_alone_is_not_in_their_way() -> None:
    assert around([Silent(), Silent()]) is None


@MODES
async def test_middleware_may_change_the_result_and_swallow_the_error(mode: str) -> None:
    class Tolerant(Middleware):
        async def run(self, context: Context, call: Call) -> Any:
            try:
                return [await call()]
            except ZeroDivisionError:
                return f"{context.type} divided by zero"

    def body() -> float:
        context = current.get()
        assert context is not None
        return 1 / (context.attempt - 1)

    app = App(middleware=[Tolerant()])
    declared(app, mode, body)
    bench = Bench(app)
    assert (await bench.run(retry_count=1)).result == [1.0]
    assert (await bench.run()).result == "task divided by zero"


@MODES
async def test_what_middleware_raises_ends_the_attempt(mode: str) -> None:
    class Closed(Middleware):
        async def run(self, context: Context, call: Call) -> Any:
            del call
            raise PermissionError(f"{context.type} must not run now")

    app = App(middleware=[Closed()])
    ran: list[bool] = []
    declared(app, mode, lambda: ran.append(True))
    finish = await Bench(app).run()
    assert finish.outcome is Outcome.RETRY
    assert finish.error is not None
    assert (finish.error["type"], ran) == ("PermissionError", [])


@MODES
async def test_context_variables_of_middleware_reach_the_handler_and_no_other_task(
    mode: str,
) -> None:
    class Tenant(Middleware):
        async def run(self, context: Context, call: Call) -> Any:
            if context.attempt == 1:
                tenant.set("somebody")
            return await call()

    app = App(middleware=[Tenant()])
    declared(app, mode, tenant.get)
    bench = Bench(app, concurrency=1)
    bench.slots.offer([run_of(claimed(retry_count=n)) for n in (0, 1)])
    await bench.slots.idle()
    assert [finish.result for finish in bench.finishes] == ["somebody", "nobody"]


async def test_a_timeout_ends_middleware_that_waits_around_a_coroutine() -> None:
    class Slow(Middleware):
        async def run(self, context: Context, call: Call) -> Any:
            del context
            await asyncio.sleep(60)
            return await call()

    app = App(middleware=[Slow()])
    declared(app, "thread", lambda: None)
    bench = Bench(app, concurrency=1)
    finish = await bench.run(timeout_seconds=0.05)
    assert finish.error is not None
    assert finish.error["type"] == "TimedOut"
    await bench.slots.idle()  # no thread was begun: the slot is free


async def test_middleware_goes_on_when_its_thread_returns_after_the_attempt() -> None:
    notes: list[str] = []
    go_on = threading.Event()
    app = App(middleware=[Noting("a", notes)])
    declared(app, "thread", lambda: go_on.wait(60))
    bench = Bench(app, concurrency=1)
    finish = await bench.run(timeout_seconds=0.05)
    assert finish.outcome is Outcome.RETRY
    assert notes == ["a before task 1"]
    go_on.set()
    await bench.slots.idle()
    assert notes == ["a before task 1", "a after"]
    assert bench.finishes == []


@MODES
async def test_the_current_task_is_known_in_the_handler_and_nowhere_else(mode: str) -> None:
    app = App()

    def body() -> str:
        context = current.get()
        assert context is not None
        return str(context.id)

    declared(app, mode, body)
    bench = Bench(app, concurrency=1)
    tasks = [claimed() for _ in range(3)]
    bench.slots.offer([run_of(task) for task in tasks])
    await bench.slots.idle()
    assert [finish.result for finish in bench.finishes] == [str(task.id) for task in tasks]
    assert current.get() is None


async def test_a_stop_reaches_a_handler_within_middleware() -> None:
    seen: list[StopReason | None] = []
    notes: list[str] = []
    app = App(middleware=[Noting("a", notes)])

    @app.task
    async def task(context: Context) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            seen.append(context.stop_reason)

    bench = Bench(app, concurrency=1)
    run = run_of(claimed())
    bench.slots.offer([run])
    await eventually(lambda: run.runner is not None)
    bench.slots.cancelled(run)
    await bench.slots.idle()
    assert seen == [StopReason.CANCELLED]
    assert notes[-1] == "a after"
    assert [finish.outcome for finish in bench.finishes] == [Outcome.CANCELLED]
