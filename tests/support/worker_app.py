"""The app that worker processes of the tests run: its tasks leave a trace in a file."""

import asyncio
import os
import signal
import time
from pathlib import Path

import asyncpg

from tidemill import App

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
