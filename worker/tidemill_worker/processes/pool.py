"""The handler processes of a worker: at most one for each slot that runs such a task."""

import asyncio
import logging
import sys
import time
from collections.abc import Iterable

from tidemill.errors import ConfigurationError
from tidemill.sdk.context import Context
from tidemill.sdk.definition import RunMode
from tidemill_worker.conclude import Ended, ProcessDied
from tidemill_worker.processes.job import frame_of
from tidemill_worker.processes.origin import Definition, origin_of
from tidemill_worker.processes.process import Order, Process
from tidemill_worker.run import Run

IDLE_SECONDS = 30.0
"""How long a process may wait for a task; the last one waits for ever."""
CLOSE_SECONDS = 1.0
"""How long processes may take to close their resources."""

_MEGABYTE = 1_000_000

log = logging.getLogger("tidemill.worker")


class Processes:
    """Starts processes as tasks need them and ends those that nothing needs."""

    def __init__(self, definitions: Iterable[Definition], *, app: str) -> None:
        """Run those of `definitions` that ask for it: a process finds them in `app`, or by import.

        Raises ConfigurationError for handlers that no other process can import.
        """
        self._definitions = [each for each in definitions if each.mode is RunMode.PROCESS]
        self._origin = origin_of(self._definitions, app) if self._definitions else {}
        self._idle: list[tuple[float, Process]] = []
        self._all: set[Process] = set()
        self._retiring: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """Return how many processes there are."""
        return len(self._all)

    async def start(self) -> None:
        """Start the first process, if there is something to run.

        Raises ConfigurationError when processes cannot find the handlers or open their resources.
        """
        if not self._definitions:
            return
        bounded = [each.name for each in self._definitions if each.placing.max_memory_mb]
        if bounded and sys.platform != "linux":
            log.warning("max_memory_mb is kept on Linux only: %s", ", ".join(bounded))
        try:
            self._give_back(await self._started())
        except ProcessDied as error:
            raise ConfigurationError(f"isolation='process': the first process {error}") from None

    async def run(self, definition: Definition, run: Run, context: Context) -> Ended:
        """Run a task to its end; every way through ends in a value.

        Cancel to stop the handler; `run.stop_reason` says why. The timeout begins when a process
        has the task: until then a new one may have to start.
        """
        try:
            run.timeout_at = float("inf")
            process = await self._taken(definition.placing.max_memory_mb)
        except (asyncio.CancelledError, Exception) as error:  # noqa: BLE001 - how the attempt ended
            return Ended(error=error)
        run.start(time.monotonic())
        context.deadline = run.timeout_at
        frame = frame_of(context, run.task.payload, run.task.timeout_seconds)
        order = Order(frame, context, lambda: run.stop_reason, definition.placing.max_memory_mb)
        try:
            ended = await process.run(order)
        except asyncio.CancelledError as error:
            ended = Ended(error=error)
        self._give_back(process)
        return ended

    async def close(self) -> None:
        """End all: those that wait may close their resources, the others are killed."""
        if self._timer is not None:
            self._timer.cancel()
        for _, process in self._idle:
            self._retire(process)
        self._idle.clear()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        left = list(self._all)
        for process in left:
            process.kill()
        await asyncio.gather(*(process.gone() for process in left))
        self._all.clear()

    async def _taken(self, max_memory_mb: int | None) -> Process:
        """Return a process that waits and is not too large already, or a new one."""
        while self._idle:
            _, process = self._idle.pop()
            if process.reusable and not _too_large(process, max_memory_mb):
                return process
            self._retire(process)
        return await self._started()

    async def _started(self) -> Process:
        process = await Process.start(self._origin)
        self._all.add(process)
        log.debug("a process for handlers has started", extra={"pid": process.pid})
        return process

    def _give_back(self, process: Process) -> None:
        if not process.reusable:
            self._retire(process)
            return
        self._idle.append((time.monotonic(), process))
        self._look_later()

    def _look_later(self) -> None:
        if self._timer is None and len(self._idle) > 1:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(IDLE_SECONDS, self._end_idle)

    def _end_idle(self) -> None:
        """End those that have waited for long, but for the one used last."""
        self._timer = None
        long_ago = time.monotonic() - IDLE_SECONDS
        kept = [each for each in self._idle[:-1] if each[0] > long_ago] + self._idle[-1:]
        for each in self._idle:
            if each not in kept:
                self._retire(each[1])
        self._idle = kept
        self._look_later()

    def _retire(self, process: Process) -> None:
        task = asyncio.create_task(self._closed(process))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def _closed(self, process: Process) -> None:
        await process.close(CLOSE_SECONDS)
        self._all.discard(process)


def _too_large(process: Process, max_memory_mb: int | None) -> bool:
    return max_memory_mb is not None and process.held > max_memory_mb * _MEGABYTE
