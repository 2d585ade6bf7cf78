"""One client of the stream: what it asked for, and what it has yet to take."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final
from uuid import UUID

from tidemill_api.auth.callers import Caller

BUFFER_BYTES: Final = 256 * 1024
"""Changes that a client may have yet to take; one that falls further behind is dropped."""

CHUNK_BYTES: Final = 64 * 1024
"""About how much is written at once. What is yet to be written all clients share."""


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
        self._frames: deque[tuple[bytes, int]] = deque()
        self._behind = 0
        self._filled = asyncio.Event()

    def push(self, frames: list[bytes], *, snapshot: bool = False) -> bool:
        """Keep `frames` for it; False where it has not taken what came before.

        To whoever has taken all there was anything may come, however long.
        """
        size = sum(map(len, frames))
        if self._behind and self._behind + (0 if snapshot else size) > BUFFER_BYTES:
            return False
        counted = not snapshot  # a slow line may take its time for a long snapshot
        self._frames.extend((each, len(each) if counted else 0) for each in frames)
        self._behind += size if counted else 0
        self._filled.set()
        return True

    def end(self) -> None:
        """Let its stream end once it has taken what there is."""
        self.ended = True
        self._filled.set()

    @property
    def done(self) -> bool:
        """Whether it has ended, and has taken all."""
        return self.ended and not self._frames

    async def next(self, seconds: float) -> bytes:
        """Return some of what came; nothing after `seconds`, or once it has ended."""
        try:
            await asyncio.wait_for(self._filled.wait(), seconds)
        except TimeoutError:
            return b""
        taken: list[bytes] = []
        left = CHUNK_BYTES
        while self._frames and left > 0:
            frame, counted = self._frames.popleft()
            taken.append(frame)
            self._behind -= counted
            left -= len(frame)
        if not (self._frames or self.ended):
            self._filled.clear()
        return b"".join(taken)
