"""What handlers share: opened once, in order, closed in reverse, and only the worker's to give."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, closing, nullcontext
from typing import Annotated, Any

import pytest

from tests.support.worker import Bench
from tidemill import App, Resource
from tidemill.errors import ConfigurationError, InvalidTask
from tidemill.states import Outcome
from tidemill_worker.resources import Resources

Notes = list[str]


class Closable:
    def close(self) -> None: ...


def opener(name: str, notes: Notes) -> Callable[[], AsyncIterator[str]]:
    async def open_it() -> AsyncIterator[str]:
        notes.append(f"open {name}")
        yield name
        notes.append(f"close {name}")

    return open_it


async def run_with(app: App, **payload: Any) -> Any:
    bench = Bench(app)
    async with bench.surroundings.resources:
        return await bench.run(payload=payload)


async def test_resources_are_opened_once_and_closed_in_reverse() -> None:
    app, notes = App(), Notes()
    first, second = opener("first", notes), opener("second", notes)

    @app.task
    async def task(a: Annotated[str, Resource(first)], b: Annotated[str, Resource(second)]) -> str:
        return a + b

    @app.task
    async def another(a: Annotated[str, Resource(first)]) -> str:
        return a

    bench = Bench(app)
    async with bench.surroundings.resources:
        assert (await bench.run()).result == "firstsecond"
        assert (await bench.run("another")).result == "first"
    assert notes == ["open first", "open second", "close second", "close first"]


def generator() -> Iterator[str]:
    yield "generator"


async def asynchronous_generator() -> AsyncIterator[str]:
    yield "asynchronous generator"


@asynccontextmanager
async def asynchronous_manager() -> AsyncGenerator[str]:
    yield "asynchronous manager"


def manager() -> AbstractContextManager[str]:
    return nullcontext("manager")


@pytest.mark.parametrize(
    "open_it", [generator, asynchronous_generator, asynchronous_manager, manager]
)
async def test_openers_of_every_kind_work(open_it: Callable[[], Any]) -> None:
    app = App()

    def task(x: int, it: Any) -> list[Any]:
        return [x, it]

    task.__annotations__["it"] = Annotated[Any, Resource(open_it)]
    app.task(task)
    assert (await run_with(app, x=1)).result == [1, open_it.__name__.replace("_", " ")]


async def fails() -> AsyncIterator[str]:
    raise ConnectionRefusedError("nobody there")
    yield ""


async def yields_nothing() -> AsyncIterator[str]:
    if False:
        yield ""


def returns_a_value() -> Any:
    return 5


@pytest.mark.parametrize(
    ("open_it", "reason"),
    [
        (fails, "ConnectionRefusedError: nobody there"),
        (yields_nothing, "RuntimeError: generator didn't yield"),
        (returns_a_value, "TypeError: must be a generator function or return a context manager"),
    ],
)
async def test_an_opener_that_fails_is_named_and_what_was_open_is_closed(
    open_it: Callable[[], Any], reason: str
) -> None:
    app, notes = App(), Notes()
    first = opener("first", notes)

    @app.task
    async def task(
        a: Annotated[str, Resource(first)], b: Annotated[str, Resource(open_it)]
    ) -> None:
        del a, b

    resources = Resources(app.tasks.values())
    with pytest.raises(ConfigurationError) as caught:
        await resources.start()
    name = f"{open_it.__module__}.{open_it.__qualname__}"
    assert str(caught.value).startswith(f"resource {name}: opening it failed: {reason}")
    assert notes == ["open first", "close first"]
    await resources.stop()


async def test_an_opener_that_hangs_can_be_given_up() -> None:
    app, notes = App(), Notes()
    first, waiting = opener("first", notes), asyncio.Event()

    async def hangs() -> AsyncIterator[str]:
        waiting.set()
        await asyncio.Event().wait()
        yield ""

    @app.task
    async def task(a: Annotated[str, Resource(first)], b: Annotated[str, Resource(hangs)]) -> None:
        del a, b

    resources = Resources(app.tasks.values())
    starting = asyncio.create_task(resources.start())
    await waiting.wait()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert notes == ["open first", "close first"]


async def test_a_resource_that_cannot_be_closed_does_not_keep_the_others_open(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app, notes = App(), Notes()
    first = opener("first", notes)

    async def breaks() -> AsyncIterator[str]:
        yield "it"
        raise OSError("cannot close")

    @app.task
    async def task(a: Annotated[str, Resource(first)], b: Annotated[str, Resource(breaks)]) -> None:
        del a, b

    async with Resources(app.tasks.values()):
        pass
    assert notes == ["open first", "close first"]
    assert "cannot close" in caplog.text


async def test_what_enters_a_task_group_may_leave_it() -> None:
    """The opener's two halves run in one asyncio task, whoever starts and stops the worker."""
    app = App()
    tasks: list[asyncio.Task[Any] | None] = []

    async def grouped() -> AsyncIterator[asyncio.TaskGroup]:
        async with asyncio.TaskGroup() as group:
            tasks.append(asyncio.current_task())
            yield group
            tasks.append(asyncio.current_task())

    @app.task
    async def task(group: Annotated[asyncio.TaskGroup, Resource(grouped)]) -> None:
        group.create_task(asyncio.sleep(0))

    bench = Bench(app)
    await asyncio.create_task(bench.surroundings.resources.start())
    assert (await bench.run()).outcome is Outcome.SUCCEEDED
    await asyncio.create_task(bench.surroundings.resources.stop())
    assert tasks[0] is tasks[1]


async def test_no_payload_can_fill_what_the_worker_gives() -> None:
    app = App()

    def closable() -> AbstractContextManager[Closable]:
        return closing(Closable())

    @app.task
    async def task(it: Annotated[Closable, Resource(closable)], **more: Any) -> list[Any]:
        return [type(it).__name__, more]

    assert (await run_with(app, x=1)).result == ["Closable", {"x": 1}]
    finish = await run_with(app, it="mine")
    assert finish.outcome is Outcome.FAILED
    assert finish.error["message"].startswith("payload.it: must not be given")
    with pytest.raises(InvalidTask):
        app.tasks["task"].new(it="mine")


async def test_given_values_stand_in_for_openers() -> None:
    app = App()

    @app.task
    async def task(it: Annotated[str, Resource(fails)]) -> str:
        return it

    async with Resources(app.tasks.values(), {fails: "a fake"}) as resources:
        assert resources.of(app.tasks["task"]) == {"it": "a fake"}
