"""Loads that go up and down, so that workers come and go all the time."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from bench.case import BenchError
from tidemill.db import Database

LENGTHS = (0.05, 0.3, 1.0, 3.0)
LOOK_SECONDS = 0.2
PATIENCE_SECONDS = 120.0
OPEN = """
SELECT (SELECT count(*) FROM tidemill.ready r WHERE r.queue_id = q.id)
     + (SELECT count(*) FROM tidemill.leases l WHERE l.queue_id = q.id)
  FROM tidemill.queues q WHERE q.name = $1
"""


@dataclass(slots=True)
class Load:
    """Tasks for one queue, from a random source of its own."""

    db: Database
    queue: str
    chance: random.Random

    async def nap(self, *seconds: float) -> list[UUID]:
        """Enqueue tasks of these lengths, together; return their ids."""
        rows = await self.db.fetch(
            "SELECT tidemill.enqueue('nap', jsonb_build_object('seconds', s), queue => $1::text) "
            "FROM unnest($2::double precision[]) AS s",
            self.queue,
            list(seconds),
        )
        return [row[0] for row in rows]

    async def open(self) -> int:
        """Return how many tasks wait or run."""
        return int(await self.db.fetchval(OPEN, self.queue) or 0)

    async def bursts(self) -> None:
        """Enqueue a handful of tasks of mixed length whenever none, or one, is left."""
        while True:
            count = self.chance.randint(2, 8)
            await self.nap(*(self.chance.choice(LENGTHS) for _ in range(count)))
            left = self.chance.randint(0, 1)
            async with asyncio.timeout(PATIENCE_SECONDS):
                while await self.open() > left:  # noqa: ASYNC110 - no event tells of it
                    await asyncio.sleep(LOOK_SECONDS)
            await asyncio.sleep(self.chance.uniform(0, 3))

    async def trickle(self) -> None:
        """Enqueue single tasks: some nine a second for a while, then some one and a half."""
        while True:
            for rate in (9.0, 1.5):
                ends = time.monotonic() + self.chance.uniform(4, 8)
                while time.monotonic() < ends:
                    await self.nap(self.chance.choice(LENGTHS) + self.chance.random())
                    await asyncio.sleep(self.chance.expovariate(rate))


Pattern = Callable[[Load], Coroutine[Any, Any, None]]


@asynccontextmanager
async def going(loads: Sequence[tuple[Load, Pattern]]) -> AsyncGenerator[None]:
    """Let loads go on during the block. Raises BenchError when one could not."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(pattern(load)) for load, pattern in loads]
            yield
            for each in tasks:
                each.cancel()
    except ExceptionGroup as failed:
        raise BenchError(f"a load failed: {failed.exceptions[0]!r}") from failed
