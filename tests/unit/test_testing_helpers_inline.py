"""`run_task`: a handler runs here and now as it would in a worker."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any

import pytest

from tidemill import App, Context, Middleware, Resource, Retry, Stopped
from tidemill.errors import InvalidTask
from tidemill.sdk.context import current
from tidemill.sdk.middleware import Call
from tidemill_worker.conclude import TimedOut, Unstorable
from tidemill_worker.testing import Link, run_task

app = App()
opened: list[str] = []


async def open_box() -> AsyncIterator[list[int]]:
    opened.append("open")
    yield [1, 2]
    opened.append("closed")


def open_label() -> Iterator[str]:
    yield "label"


Box = Annotated[list[int], Resource(open_box)]
Label = Annotated[str, Resource(open_label)]


@dataclass
class Order:
    number: int
    placed: date


@app.task(timeout_seconds=5, queue="orders")
async def place(context: Context, order: Order, box: Box, label: Label = "") -> dict[str, Any]:
    """Place an order."""
    return {
        "year": order.placed.year,
        "box": box,
        "label": label,
        "attempt": context.attempt,
        "queue": context.queue,
        "left": context.seconds_left,
    }


@app.task
def where() -> list[str]:
    """Say where it runs."""
    running = current.get()
    assert running is not None
    return [threading.current_thread().name, running.type]


async def test_the_payload_goes_through_json_and_the_type_hints() -> None:
    result: Any = await run_task(app, place, {"order": Order(7, date(2026, 11, 22))})
    assert result["year"] == 2026
    with pytest.raises(InvalidTask, match=r"payload\.order\.placed"):
        await run_task(app, place, {"order": {"number": 7, "placed": "some day"}})


async def test_resources_are_opened_and_closed_or_given() -> None:
    opened.clear()
    payload = {"order": {"number": 7, "placed": "2026-11-22"}}
    result: Any = await run_task(app, place, payload)
    assert (result["box"], result["label"]) == ([1, 2], "label")
    assert opened == ["open", "closed"]
    result = await run_task(app, place, payload, resources={open_box: [9]})
    assert result["box"] == [9]
    assert opened == ["open", "closed"]


async def test_the_context_is_the_types_and_what_the_test_says() -> None:
    payload = {"order": {"number": 7, "placed": "2026-11-22"}}
    result: Any = await run_task(app, place, payload, attempt=3)
    assert (result["attempt"], result["queue"]) == (3, "orders")
    assert 0 < result["left"] <= 5


async def test_a_plain_function_has_a_thread_and_the_current_context() -> None:
    result: Any = await run_task(app, where)
    assert result[0] != threading.main_thread().name
    assert result[1] == "where"
    assert current.get() is None


async def test_what_the_handler_raises_comes_out_as_it_is() -> None:
    local = App()

    @local.task
    async def again() -> None:
        raise Retry(after=5)

    with pytest.raises(Retry) as raised:
        await run_task(local, again)
    assert raised.value.after == 5


async def test_middleware_goes_around_the_first_outermost() -> None:
    seen: list[str] = []

    class Noted(Middleware):
        def __init__(self, name: str) -> None:
            self.name = name

        async def run(self, context: Context, call: Call) -> Any:
            seen.append(f"{self.name} before {context.type}")
            result = await call()
            seen.append(f"{self.name} after")
            return [self.name, result]

    local = App(middleware=[Noted("a"), Noted("b")])

    @local.task
    async def work(n: int) -> int:
        seen.append("work")
        return n

    result: Any = await run_task(local, work, {"n": 1})
    assert result == ["a", ["b", 1]]
    assert seen == ["a before work", "b before work", "work", "b after", "a after"]


async def test_a_coroutine_past_its_timeout_is_cancelled() -> None:
    local, cancelled = App(), []

    @local.task(timeout_seconds=0.05)
    async def slow() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    with pytest.raises(TimedOut, match=r"past its timeout of 0\.05 s"):
        await run_task(local, slow)
    assert cancelled == [True]


async def test_a_timeout_of_the_handlers_own_is_no_timeout_of_the_task() -> None:
    local = App()

    @local.task
    async def impatient() -> None:
        raise TimeoutError("the other side did not answer")

    with pytest.raises(TimeoutError, match="the other side"):
        await run_task(local, impatient)


async def test_a_result_that_is_no_json_is_refused() -> None:
    local = App()

    @local.task
    async def odd() -> object:
        return object()

    with pytest.raises(Unstorable, match="cannot be stored as JSON"):
        await run_task(local, odd)


async def test_what_a_handler_tells_its_worker_is_kept() -> None:
    local, link = App(), Link()

    @local.task
    async def count(context: Context, to: int) -> None:
        for n in range(to):
            context.progress(n + 1, to)
            await context.heartbeat()

    await run_task(local, count, {"to": 3}, link=link)
    assert link.progressed == [{"done": n, "total": 3} for n in (1, 2, 3)]
    assert link.renewed == 3


async def test_a_lost_lease_can_be_tried() -> None:
    local, link, done = App(), Link(lost_after=2), []

    @local.task
    def count(context: Context) -> None:
        for n in range(9):
            context.heartbeat()
            done.append(n)

    with pytest.raises(Stopped, match="lease_lost"):
        await run_task(local, count, link=link)
    assert done == [0, 1]


async def test_a_cancelled_task_can_be_tried() -> None:
    local = App()

    @local.task
    def stops(context: Context) -> str:
        with contextlib.suppress(Stopped):
            context.raise_if_stopped()
        return "cancelled" if context.cancelled else "went on"

    assert await run_task(local, stops) == "went on"
    assert await run_task(local, stops, stop_reason="cancelled") == "cancelled"
