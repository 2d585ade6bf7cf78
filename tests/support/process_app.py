"""The app that handler processes of the tests find: each task does one thing to its process."""

import asyncio
import ctypes
import logging
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

from tidemill import App, Context, Discard, Resource, Retry, Snooze, Stopped
from tidemill.sdk.context import current

app = App()
log = logging.getLogger("shop")


def opened() -> Iterator[list[int]]:
    """A list that all tasks of a process share; at its end the number of tasks is traced."""
    shared = list[int]()
    yield shared
    if shared:
        trace(f"closed after {len(shared)}")


Shared = Annotated[list[int], Resource(opened)]


def trace(line: str) -> None:
    with Path(os.environ["TRACE"]).open("a") as file:
        file.write(f"{line}\n")


@app.task(isolation="process")
def where() -> int:
    return os.getpid()


@app.task(isolation="process")
async def where_async(seconds: float = 0.0) -> int:
    await asyncio.sleep(seconds)
    return os.getpid()


@app.task(isolation="process")
def meet(mine: str, other: str) -> int:
    """Return when the other one has come too."""
    Path(mine).touch()
    while not Path(other).exists():
        time.sleep(0.01)
    return os.getpid()


@app.task(isolation="process")
def share(number: int, shared: Shared) -> list[int]:
    shared.append(number)
    return shared


@app.task(isolation="process")
def own_loop() -> str:
    async def answer() -> str:
        await asyncio.sleep(0)
        return "from a loop of its own"

    return asyncio.run(answer())


@app.task(isolation="process")
def echo(text: str) -> str:
    return text


@app.task(isolation="process")
def spread(numbers: list[int]) -> int:
    """Work in processes of its own making."""
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as workers:
        return sum(workers.map(math.factorial, numbers))


@app.task(isolation="process", retry_on=(KeyError,), discard_on=(ValueError,))
def fail(how: str) -> object:
    raised = {
        "key": KeyError("missing"),
        "value": ValueError("wrong"),
        "other": RuntimeError("odd"),
        "retry": Retry("busy", after=7.0),
        "discard": Discard("no use"),
        "snooze": Snooze(9.0),
        "exit": SystemExit(4),
    }
    if how == "result":
        return object()
    raise raised[how]


@app.task(isolation="process")
def speak(context: Context) -> None:
    print("said aloud")  # noqa: T201 - what this task is for
    print("and to the other stream", file=sys.stderr)  # noqa: T201 - so is this
    context.logger.info("the %s", "order", extra={"order": 5})
    log.debug("nobody wants to know")
    try:
        int("inside")
    except ValueError:
        log.exception("went wrong")


@app.task(isolation="process")
def report(context: Context) -> str:
    for done in range(1000):
        context.progress(done, 1000)
    context.progress(1000, 1000, "done")
    context.heartbeat()
    deadline = time.monotonic() + 60
    while not Path(os.environ["TRACE"]).exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    told = current.get()
    return f"{context.id} {told is context} {0 < context.seconds_left < context.timeout_seconds}"


@app.task(isolation="process")
def leave_a_thread(context: Context, signal_file: str) -> None:
    """Leave a thread that uses the context long after the end."""

    def use() -> None:
        while not Path(signal_file).exists():
            time.sleep(0.01)
        context.progress(99, 99)
        try:
            context.heartbeat()
        except Stopped as stopped:
            trace(f"thread: {stopped}")

    threading.Thread(target=use, daemon=True).start()


@app.task(isolation="process")
async def renew(context: Context) -> str:
    await context.heartbeat()
    return "renewed"


@app.task(isolation="process")
def die(how: str) -> None:
    if how == "exit":
        os._exit(3)
    elif how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "term":
        os.kill(os.getpid(), signal.SIGTERM)
    elif how == "segfault":
        ctypes.string_at(0)
    elif how == "babble":
        for end in range(3, 30):
            try:
                os.write(end, b"\0\0\0\5hello")
            except OSError:
                continue


@app.task(isolation="process", max_memory_mb=150)
def eat(megabytes: int, *, in_a_child: bool = False) -> int:
    if in_a_child:
        program = f"import time; held = bytearray(b'x') * {megabytes * 1_000_000}; time.sleep(60)"
        subprocess.run([sys.executable, "-c", program], check=False)
    held = bytearray(b"x") * (megabytes * 1_000_000)
    if megabytes > 150:
        time.sleep(60)
    return len(held)


@app.task(isolation="process")
def poll(context: Context) -> str:
    """Stop as soon as it is asked to."""
    trace(f"pid {os.getpid()}")
    while not context.cancelled:
        time.sleep(0.01)
    context.raise_if_stopped()
    return "not reached"


@app.task(isolation="process")
def sleep(seconds: float) -> None:
    """Know nothing of stopping, but clean up."""
    trace(f"pid {os.getpid()}")
    try:
        time.sleep(seconds)
    finally:
        trace("cleaned up")


@app.task(isolation="process")
async def sleep_async(seconds: float) -> None:
    trace(f"pid {os.getpid()}")
    try:
        await asyncio.sleep(seconds)
    finally:
        await asyncio.sleep(0)
        trace("cleaned up")


@app.task(isolation="process")
def hang() -> None:
    """Refuse to stop; so do its children, one of which has left for a session of its own."""
    stubborn = (
        "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(99)"
    )
    for leaves in (False, True):
        child = subprocess.Popen(
            [sys.executable, "-c", stubborn], stdout=subprocess.PIPE, start_new_session=leaves
        )
        assert child.stdout is not None
        child.stdout.readline()
        trace(f"pid {child.pid}")
    trace(f"pid {os.getpid()}")
    while True:
        try:
            time.sleep(60)
        except Exception:  # noqa: BLE001, S112 - that is the point
            continue


_held: list[bytearray] = []


@app.task(isolation="process")
def hold(megabytes: int) -> int:
    """Hold on to memory after the end."""
    _held.append(bytearray(b"x") * (megabytes * 1_000_000))
    return os.getpid()
