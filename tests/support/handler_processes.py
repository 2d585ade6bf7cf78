"""Runs tasks of tests/support/process_app.py in handler processes, without a worker."""

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.process_app import app
from tests.support.worker import claimed, eventually, run_of
from tidemill.sdk.context import DONE, Context, StopReason
from tidemill_worker.conclude import Ended
from tidemill_worker.processes.pool import Processes
from tidemill_worker.run import Run


class Told:
    """A link that keeps what it is told."""

    def __init__(self, trouble: Exception | None = None) -> None:
        self.progressed: list[dict[str, Any]] = []
        self.renewed = 0
        self.trouble = trouble

    def progress(self, value: dict[str, Any]) -> None:
        self.progressed.append(value)

    def renew(self) -> Awaitable[None]:
        if self.trouble is not None:
            raise self.trouble
        self.renewed += 1
        return DONE


class Handlers:
    """Processes, and the tasks that run in them."""

    def __init__(self, pool: Processes) -> None:
        self.pool = pool
        self.told = Told()

    async def run(self, kind: str, **payload: Any) -> Ended:
        run, running = self.begin(kind, **payload)
        assert run.runner is running
        return await running

    def begin(self, kind: str, **payload: Any) -> tuple[Run, "asyncio.Task[Ended]"]:
        run = run_of(claimed(kind, payload=payload))
        context = run.context = Context(id=run.task.id, type=kind, link=self.told)
        running = asyncio.create_task(self.pool.run(app.tasks[kind], run, context))
        run.runner = running
        return run, running

    async def stopped(self, kind: str, reason: StopReason, **payload: Any) -> Ended:
        """Tell a task to stop once it has traced its process."""
        run, running = self.begin(kind, **payload)
        await eventually(lambda: bool(pids()) or running.done(), seconds=60)
        run.stop(reason)
        return await running


@asynccontextmanager
async def handlers() -> AsyncGenerator[Handlers]:
    """Processes of the app, started and closed."""
    pool = Processes(app.tasks.values(), app="tests.support.process_app:app")
    await pool.start()
    try:
        yield Handlers(pool)
    finally:
        await pool.close()


def traced() -> list[str]:
    """Return what tasks have traced."""
    trace = Path(os.environ["TRACE"])
    return trace.read_text().splitlines() if trace.exists() else []


def pids() -> list[int]:
    """Return the processes that tasks have traced."""
    return [int(line.removeprefix("pid ")) for line in traced() if line.startswith("pid ")]


def lives(pid: int) -> bool:
    """Whether a process runs; one that nobody has taken leave of does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in {"Z", "X"}
