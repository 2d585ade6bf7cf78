"""One client of the stream: what it asked for, and what it has yet to take."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final
from uuid import UUID

from tidemill_api.auth.callers import Caller

BUFFER_BYTES: Final = 256 * 1024
"""What a client may have yet to take; one that has more is dropped. A snapshot always fits."""


class Client:
    """Who watches. `fresh`: it has yet to get a snapshot."""

    def __init__(self, caller: Caller, queues: Iterable[str], tasks: Iterable[UUID]) -> None:
        """Watch `tasks` and those of `queues`, as far as `caller` may."""
        self.caller = caller
        self.queues = frozenset(queues)
        self.tasks = frozenset(tasks)
        self.fresh = True
        self.ended = False
        self.on_drop: Callable[[], None] = lambda: None
        self._frames: list[bytes] = []
        self._size = 0
        self._filled = asyncio.Event()

    def sees_queue(self, queue: str) -> bool:
        """Return whether it gets the figures of `queue`."""
        return (not self.queues or queue in self.queues) and self.caller.sees(queue)

    def sees_task(self, task_id: UUID, queue: str) -> bool:
        """Return whether it gets what happens to a task of `queue`."""
        return (task_id in self.tasks or queue in self.queues) and self.caller.sees(queue)

    def push(self, frames: list[bytes], *, snapshot: bool = False) -> bool:
        """Keep `frames` for it; False where it has not taken what came before."""
        size = sum(map(len, frames))
        if self._size and self._size + size > BUFFER_BYTES:
            return False
        if not snapshot and size > BUFFER_BYTES:
            return False
        self._frames += frames
        self._size += size
        self._filled.set()
        return True

    def end(self) -> None:
        """Let its stream end once it has taken what there is."""
        self.ended = True
        self._filled.set()

    async def next(self, seconds: float) -> bytes:
        """Return what came; nothing after `seconds`, or once it has ended."""
        try:
            await asyncio.wait_for(self._filled.wait(), seconds)
        except TimeoutError:
            return b""
        self._filled.clear()
        taken, self._frames, self._size = b"".join(self._frames), [], 0
        if self.ended:
            self._filled.set()
        return taken
