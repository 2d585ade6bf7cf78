"""An app whose tasks say things: in each run mode, through loggers of all kinds, with secrets."""

import asyncio
import logging
import os
import time
from pathlib import Path

from tidemill import App, Context

app = App()
library = logging.getLogger("some.library")


@app.task
async def say(context: Context) -> str:
    library.warning("on the loop, before")
    await asyncio.sleep(0.01)
    library.warning("on the loop, after")
    context.logger.info("by the context's logger", extra={"part": 1})
    return context.traceparent


@app.task
def say_in_a_thread(context: Context) -> str:
    library.warning("in a thread")
    return context.traceparent


@app.task(isolation="process")
def say_in_a_process(context: Context) -> str:
    library.warning("in a process")
    return context.traceparent


@app.task
async def ask() -> None:
    """Enqueue `say`, inside a running task."""
    await say.enqueue()


@app.task
def ask_in_a_thread() -> None:
    """Enqueue `say`, without an event loop."""
    say.enqueue_sync()


@app.task
async def block(until: str) -> None:
    """Block the event loop until the file `until` is there."""
    while not Path(until).exists():  # noqa: ASYNC240 - blocking is the subject
        time.sleep(0.01)  # noqa: ASYNC251 - as above


@app.task(max_retries=0)
async def leak() -> None:
    """Fail with what nobody may read."""
    library.warning("before: %s", os.environ["SHOP_SECRET"])
    raise ConnectionError(f"{os.environ['SHOP_SECRET']} at redis://:p4ss@host and password=p4ss")
