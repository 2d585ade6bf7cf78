"""The app that worker processes of the tests run: its tasks leave a trace in a file."""

import asyncio
import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import asyncpg

from tidemill import App, Context

app = App()


def leave_trace(event: str, n: int) -> None:
    with Path(os.environ["TRACE"]).open("a") as trace:
        trace.write(f"{event} {n} {os.getpid()}\n")


@app.task
async def work(n: int, seconds: float) -> int:
    leave_trace("start", n)
    await asyncio.sleep(seconds)
    leave_trace("end", n)
    return os.getpid()


@app.task
def block(n: int, seconds: float) -> None:
    leave_trace("start", n)
    time.sleep(seconds)
    leave_trace("end", n)


@app.task(max_retries=0)
async def span(seconds: float) -> None:
    """Say in the table `spans` from when to when it ran: see tests/support/spans.py."""
    connection = await asyncpg.connect(os.environ["TIDEMILL_DATABASE_URL"])
    try:
        begun = await connection.fetchval("INSERT INTO spans DEFAULT VALUES RETURNING id")
        await asyncio.sleep(seconds)
        await connection.execute("UPDATE spans SET ended = clock_timestamp() WHERE id = $1", begun)
    finally:
        await connection.close()


@app.task
def die(n: int) -> None:
    leave_trace("start", n)
    os.kill(os.getpid(), signal.SIGKILL)


@app.task
async def leave_a_thread(n: int, seconds: float) -> None:
    leave_trace("start", n)
    await asyncio.to_thread(time.sleep, seconds)


@app.task
async def block_the_loop(context: Context, n: int, seconds: float) -> int:
    """Block for `seconds` at the first attempt; a second one returns at once."""
    leave_trace("start", n)
    if context.attempt == 1:
        time.sleep(seconds)  # noqa: ASYNC251 - blocking the loop is the subject
    leave_trace("end", n)
    return os.getpid()


@app.task
async def never_ends(n: int) -> None:
    leave_trace("start", n)
    while True:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)


@app.task
def never_returns(n: int) -> None:
    leave_trace("start", n)
    threading.Event().wait()


@app.task
async def is_told(context: Context, n: int) -> int:
    """Wait at the first attempt until somebody says why it should stop."""
    leave_trace("start", n)
    if context.attempt == 1:
        try:
            await asyncio.sleep(3600)
        finally:
            leave_trace(str(context.stop_reason), n)
    return os.getpid()


@app.task
def sees(context: Context, n: int) -> int:
    """Look, at the first attempt, until there is a reason to stop; return all the same."""
    leave_trace("start", n)
    while context.attempt == 1 and context.stop_reason is None:
        time.sleep(0.02)
    if context.stop_reason is not None:
        leave_trace(str(context.stop_reason), n)
    return os.getpid()


@app.task
async def wait_for_go(n: int) -> None:
    """Run until the test has made the file."""
    leave_trace("start", n)
    while not Path(f"{os.environ['TRACE']}.go").exists():  # noqa: ASYNC110, ASYNC240 - from outside
        await asyncio.sleep(0.05)


@app.task
def leak(n: int, megabytes: int) -> int:
    """Keep memory that nobody gives back."""
    leave_trace("start", n)
    leaked.append(b"x" * (megabytes * 1_000_000))
    return os.getpid()


leaked: list[bytes] = []
