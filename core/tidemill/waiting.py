"""Waiting for tasks to end: however many are waited for, one poller asks for all of them at once.

It asks soon after somebody came, then less and less often, and not at all while nobody waits. A
database that is away is asked again; those who wait learn of it when their time is up.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Final
from uuid import UUID

from tidemill.errors import DatabaseUnavailable, TaskNotFound, TidemillError
from tidemill.models import Task

SHORTEST_SECONDS: Final = 0.02
LONGEST_SECONDS: Final = 0.5
GROWTH: Final = 1.5
SHARE: Final = 4.0
"""A look that took long is followed by a pause of so many times its length."""

BATCH: Final = 1000
"""Most tasks that one statement asks for."""

Look = Callable[[Sequence[UUID]], Awaitable[Mapping[UUID, Task | None]]]
"""Returns those of the tasks that have ended; None for one that does not exist."""


class Waiting:
    """Those who wait for tasks, on one event loop."""

    def __init__(self, look: Look) -> None:
        """Ask `look`. Nothing runs until somebody waits."""
        self._look = look
        self._waiters: dict[UUID, set[asyncio.Future[Task]]] = {}
        self._poller: asyncio.Task[None] | None = None
        self._came = asyncio.Event()
        self._pause = SHORTEST_SECONDS
        self._trouble: DatabaseUnavailable | None = None

    async def wait(self, task_id: UUID, seconds: float | None) -> Task:
        """Return the task when it has ended; None seconds: however long that takes.

        Raises TaskNotFound, TimeoutError, and what else the look raises.
        """
        if seconds is not None and seconds <= 0:
            return await self._now(task_id)
        ended: asyncio.Future[Task] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(task_id, set()).add(ended)
        self._hurry()
        try:
            async with asyncio.timeout(seconds):
                return await ended
        except TimeoutError:
            reason = f"; the last look failed: {self._trouble}" if self._trouble else ""
            message = f"task {task_id} has not ended within {seconds:g} s{reason}"
            raise TimeoutError(message) from self._trouble
        finally:
            self._forget(task_id, ended)

    async def close(self) -> None:
        """End; whoever waits still gets an error."""
        poller, self._poller = self._poller, None
        self._came = asyncio.Event()  # the next to wait may do so on another event loop
        self._fail(TidemillError("the client was closed while a task was waited for"))
        if poller is not None:
            poller.cancel()
            await asyncio.gather(poller, return_exceptions=True)

    async def _now(self, task_id: UUID) -> Task:
        found = await self._look((task_id,))
        if task_id not in found:
            raise TimeoutError(f"task {task_id} has not ended")
        if (task := found[task_id]) is None:
            raise _no_task(task_id)
        return task

    def _hurry(self) -> None:
        self._pause = SHORTEST_SECONDS
        self._came.set()
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll(), name="waiting for tasks")

    async def _poll(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiters:
            self._came.clear()
            began = loop.time()
            try:
                await self._round()
            except Exception as error:  # noqa: BLE001 - it is raised to those who wait
                self._fail(error)
            least = max(SHORTEST_SECONDS, SHARE * (loop.time() - began))
            await asyncio.sleep(least)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._came.wait(), max(0.0, self._pause - least))
            self._pause = min(LONGEST_SECONDS, self._pause * GROWTH)

    async def _round(self) -> None:
        ids = iter(tuple(self._waiters))
        while batch := tuple(islice(ids, BATCH)):
            try:
                found = await self._look(batch)
            except DatabaseUnavailable as error:
                self._trouble = error
                return
            self._trouble = None
            for task_id, task in found.items():
                self._settle(task_id, task)

    def _settle(self, task_id: UUID, task: Task | None) -> None:
        for ended in self._waiters.pop(task_id, ()):
            if ended.done():
                continue
            if task is None:
                ended.set_exception(_no_task(task_id))
            else:
                ended.set_result(task)

    def _fail(self, error: Exception) -> None:
        waiters, self._waiters = self._waiters, {}
        for ended in (each for some in waiters.values() for each in some if not each.done()):
            ended.set_exception(error)

    def _forget(self, task_id: UUID, ended: asyncio.Future[Task]) -> None:
        waiters = self._waiters.get(task_id)
        if waiters is not None:
            waiters.discard(ended)
            if not waiters:
                del self._waiters[task_id]


def _no_task(task_id: UUID) -> TaskNotFound:
    return TaskNotFound(f"no task {task_id}")
