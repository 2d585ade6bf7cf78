"""A steady load: as many tasks enqueued as are done, as fast as it goes, for a while at a time."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence

from bench import pgbench, scripts
from bench.case import BenchError
from bench.drain import claims_for
from bench.measure import Sample
from bench.scripts import QUEUE
from bench.target import Target
from tidemill.store.hints import TRAIL

DEPTH = 3000
"""Tasks that wait all the time."""
CHUNK = 500
DRAIN_SECONDS = 60.0


class Load(ABC):
    """A steady load on one database."""

    target: Target

    @abstractmethod
    async def slice(self, seconds: int) -> Sample:
        """Run for so long; the queue is as deep afterwards as before."""


class SqlLoad(Load):
    """The limit: enqueue, claim and finish by pgbench, one batch after the other."""

    def __init__(self, target: Target, batch: int, connections: int) -> None:
        """Do `batch` tasks at a time on so many connections. Start with `begin`."""
        self.target = target
        self._batch, self._connections = batch, connections

    async def begin(self) -> None:
        """Let some tasks wait, so that every claim finds its batch."""
        await self.target.add(DEPTH)

    async def slice(self, seconds: int) -> Sample:
        """Run pgbench for so long."""
        newest, _ = await places(self.target)
        floor = max(0, newest - DEPTH - TRAIL)
        claims = await claims_for(self.target, self._connections, floor)
        script = scripts.steady_script(claims, self._batch)
        async with self.target.counted(0) as sample:
            await pgbench.run_for(
                self.target, sample, script, connections=self._connections, seconds=seconds
            )
        return sample


class WorkerLoad(Load):
    """Worker processes, and a producer that keeps some tasks waiting for them."""

    def __init__(self, target: Target, pids: Sequence[int]) -> None:
        """Load the workers `pids`, which are running."""
        self.target = target
        self._pids = pids

    async def slice(self, seconds: int) -> Sample:
        """Keep the workers busy for so long, then let them finish."""
        sample = Sample(0)
        began = await places(self.target)
        async with self.target.logged(sample):
            with self.target.timed(sample, self._pids):
                await self._produce(seconds, began)
                await self._until_claimed(began)
            await self._until_drained()
        sample.tasks = (await places(self.target))[0] - began[0]
        return sample

    async def _produce(self, seconds: int, began: tuple[int, int]) -> None:
        ends = time.monotonic() + seconds
        await self.target.add(DEPTH)
        await self.target.ask("SELECT pg_notify('tidemill', $1)", QUEUE)
        while time.monotonic() < ends:
            if await self._waiting(began) < DEPTH:
                await self.target.add(CHUNK)
            else:
                await asyncio.sleep(0.002)

    async def _until_claimed(self, began: tuple[int, int]) -> None:
        ends = time.monotonic() + DRAIN_SECONDS
        while await self._waiting(began) > 0:
            if time.monotonic() > ends:
                raise BenchError(f"the workers left tasks waiting for {DRAIN_SECONDS:g} s")
            await asyncio.sleep(0.005)

    async def _until_drained(self) -> None:
        ends = time.monotonic() + DRAIN_SECONDS
        while not await self.target.drained():
            if time.monotonic() > ends:
                raise BenchError(f"the workers did not finish within {DRAIN_SECONDS:g} s")
            await asyncio.sleep(0.05)

    async def _waiting(self, began: tuple[int, int]) -> int:
        """Return how many tasks wait, without a look at them: with dead rows that would cost."""
        enqueued, claimed = await places(self.target)
        return enqueued - began[0] - (claimed - began[1])


async def places(target: Target) -> tuple[int, int]:
    """Return the places of tasks and the tokens of leases drawn so far."""
    rows = await target.ask(
        "SELECT (SELECT last_value FROM tidemill.task_seq), "
        "(SELECT last_value FROM tidemill.lease_tokens)"
    )
    return int(str(rows[0][0])), int(str(rows[0][1]))
