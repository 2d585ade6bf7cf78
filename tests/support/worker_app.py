"""The app that worker processes of the tests run: its tasks leave a trace in a file."""

import asyncio
import os
import time
from pathlib import Path

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


@app.task
async def leave_a_thread(n: int, seconds: float) -> None:
    leave_trace("start", n)
    await asyncio.to_thread(time.sleep, seconds)
