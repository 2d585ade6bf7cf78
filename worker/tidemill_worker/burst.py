"""Work until nothing is left: for Jobs, for cron, for tests.

Nothing is left when nothing waits that may be claimed and nothing runs, here or elsewhere: a task
that another worker holds may still come back. While this worker holds tasks the database is not
asked; after that it is, ever less often until something moves.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tidemill.errors import TidemillError
from tidemill.store.remaining import Remaining
from tidemill_worker.backoff import Backoff

FIRST_SECONDS = 0.02
LONGEST_SECONDS = 0.5

log = logging.getLogger("tidemill.worker")


@dataclass(frozen=True, slots=True)
class Burst:
    """How to find out. All are called on the worker's loop."""

    look: Callable[[], Awaitable[Remaining]]
    held: Callable[[], int]
    """How many tasks this worker holds."""
    moved: asyncio.Event
    """Set whenever that number may have become less."""
    hint: Callable[[str], None]
    """Called with a queue in which something waits."""

    async def until_empty(self) -> None:
        """Return when nothing is left."""
        pause = FIRST_SECONDS
        backoff = Backoff()
        while True:
            if await self._idle():
                pause = FIRST_SECONDS
            try:
                remaining = await self.look()
            except TidemillError as error:
                backoff.log(log, "what is left to do is not known", error)
                await backoff.pause()
                continue
            backoff.reset()
            if remaining.nothing:
                return
            for queue in remaining.queued:
                self.hint(queue)
            await asyncio.sleep(min(pause, LONGEST_SECONDS))
            pause = 2 * pause

    async def _idle(self) -> bool:
        """Wait until this worker holds nothing; return whether it held anything."""
        held = False
        while self.held():
            held = True
            self.moved.clear()
            await self.moved.wait()
        return held
