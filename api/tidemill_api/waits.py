"""Long polls for the end of tasks: `GET /api/tasks/{id}?wait=…`.

However many clients wait, the database is asked for all their tasks at once.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final
from uuid import UUID

from tidemill.errors import TidemillError
from tidemill.service import Service
from tidemill.store import Store
from tidemill.waiting import Waiting

GONE_SECONDS: Final = 1.0
"""How long a client that hung up may be waited for."""


class Waits(Service):
    """Those who wait at one server."""

    name = "waits"

    def __init__(self, store: Store) -> None:
        """Ask `store`; nothing runs until somebody waits."""
        self._waiting = Waiting(store.tasks.ended)
        self._polls: set[asyncio.Task[Any]] = set()
        self._closed = False

    async def start(self) -> None:
        """Nothing runs until somebody waits."""
        self._closed = False

    async def stop(self) -> None:
        """Let nobody wait any longer, and end."""
        self.close()
        await self._waiting.close()

    def close(self) -> None:
        """Let nobody wait any longer: this server ends."""
        self._closed = True
        for poll in self._polls:
            poll.cancel()

    async def until_ended(self, task_id: UUID, seconds: float, gone: Callable[[], bool]) -> None:
        """Return when the task has ended, after `seconds`, or when `gone()`: nobody waits."""
        if self._closed:
            return
        until = time.monotonic() + seconds
        poll = asyncio.create_task(self._waiting.wait(task_id, seconds))
        self._polls.add(poll)
        try:
            while not (poll.done() or gone()) and (left := until - time.monotonic()) > 0:
                await asyncio.wait((poll,), timeout=min(GONE_SECONDS, left))
        finally:
            self._polls.discard(poll)
            poll.cancel()
            # whatever it was, the answer is the task as it is now
            with suppress(asyncio.CancelledError, TimeoutError, TidemillError):
                await poll
