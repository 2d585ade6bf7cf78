"""The recorded error of an attempt: what a user reads of it."""

import asyncio
from typing import Any

import pytest

from tests.support.worker import Bench
from tidemill import App, Context, Middleware
from tidemill.sdk.middleware import Call


class Passing(Middleware):
    async def run(self, context: Context, call: Call) -> Any:
        del context
        return await call()


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def inner() -> None:
    raise ValueError("no")


async def error_of(app: App, **task: Any) -> dict[str, Any]:
    error = (await Bench(app).run(**task)).error
    assert error is not None
    return error


@pytest.mark.parametrize("middleware", [[], [Passing(), Passing()]], ids=["plain", "middleware"])
@pytest.mark.parametrize("mode", ["first step", "waited", "thread"])
async def test_a_traceback_shows_the_user_s_frames_only(
    mode: str, middleware: list[Middleware]
) -> None:
    app = App(middleware=middleware)

    async def in_loop() -> None:
        if mode == "waited":
            await asyncio.sleep(0)
        inner()

    app.task(name="task")(inner if mode == "thread" else in_loop)
    error = await error_of(app)
    assert (error["type"], error["message"]) == ("ValueError", "no")
    frames = [line for line in error["traceback"].splitlines() if line.startswith("  File")]
    assert all(__file__ in line for line in frames)
    assert frames[-1].endswith(", in inner")
    assert len([line for line in frames if line.endswith(", in run")]) == len(middleware)


async def test_causes_and_groups_are_shown_and_trimmed_as_well() -> None:
    app = App()

    @app.task
    async def task() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.to_thread(inner))
        except ExceptionGroup as error:
            raise RuntimeError("the batch failed") from error

    error = await error_of(app)
    assert error["type"] == "RuntimeError"
    assert "tidemill_worker" not in error["traceback"]
    assert "ValueError: no" in error["traceback"]
    assert "direct cause" in error["traceback"]


async def test_an_error_that_cannot_say_its_message_is_recorded_all_the_same() -> None:
    app = App()

    @app.task
    async def task() -> None:
        raise Mute

    error = await error_of(app)
    assert error["type"] == "Mute"
    assert "RuntimeError" in error["message"]


async def test_a_payload_that_does_not_fit_has_no_traceback() -> None:
    app = App()

    @app.task
    async def task(x: int) -> None: ...

    error = await error_of(app, payload={"x": "five"})
    assert (error["type"], error["traceback"]) == ("InvalidTask", "")
