"""A nearly empty queue: one task at a time, with and without the dead entries of a pin."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from bench import pgbench, scripts
from bench.arguments import LEASE_SECONDS
from bench.drain import claims_for, finish, info
from bench.enqueue import task
from bench.findings import Bar, Finding, number, quantile
from bench.measure import Sample
from bench.scripts import QUEUE
from bench.steady import places
from bench.subject import Say, Scale
from bench.target import Target
from tidemill.store import Store
from tidemill.store.claimer import Claimer
from tidemill.store.hints import TRAIL

PAUSE_SECONDS = 0.02
CHUNK = 50
MOST_MORE = 5.0
"""What the dead entries may add to the 99th percentile of a claim, in milliseconds"""
ROUNDS_OF_SAMPLES = 5
COLUMNS = ("claim p50 ms", "p99 ms", "max ms", "SQL's claim ms", "WAL B/task", "stmts/task")


class Prober:
    """Enqueues a task, claims it, records its end: the claim is timed."""

    def __init__(self, store: Store, claimer: Claimer) -> None:
        """Use `Prober.of`."""
        self._store, self._claimer = store, claimer
        self.milliseconds: list[float] = []

    @classmethod
    async def of(cls, store: Store) -> "Prober":
        """Return one that has claimed before: its memory is warm, as a running worker's is."""
        worker = await store.workers.register(info(0))
        claimer = Claimer(store, worker, queues=[QUEUE], lease_seconds=LEASE_SECONDS)
        prober = cls(store, claimer)
        for _ in range(3):
            await prober.probe()
        prober.milliseconds.clear()
        return prober

    async def probe(self) -> None:
        """Do one task; whatever claims it takes until it is found count as one."""
        await self._store.tasks.enqueue([task()])
        self._claimer.hear(QUEUE)
        began = time.perf_counter()
        while not (claimed := await self._claimer.claim(10)):
            pass
        self.milliseconds.append((time.perf_counter() - began) * 1000)
        await finish(self._store, claimed)


@dataclass(slots=True)
class Probed:
    """One database and what was seen of it; `limit` is the claim's time in pgbench."""

    name: str
    target: Target
    limit: float
    prober: Prober
    counted: Sample
    wal_bytes: int = 0

    async def chunk(self) -> None:
        """Probe some times; databases that take turns share the log, so it is counted here."""
        part = Sample(CHUNK)
        async with self.target.logged(part):
            for _ in range(CHUNK):
                await self.prober.probe()
                await asyncio.sleep(PAUSE_SECONDS)
        self.wal_bytes += part.wal_bytes

    def figures(self) -> dict[str, float]:
        """Return the figures, in the order of the columns."""
        claims = self.prober.milliseconds
        return {
            "claim_p50_ms": quantile(claims, 0.5),
            "claim_p99_ms": quantile(claims, 0.99),
            "claim_max_ms": max(claims),
            "sql_claim_ms": self.limit,
            "wal_bytes_per_task": self.wal_bytes / len(claims),
            "statements_per_task": self.counted.statements / len(claims),
        }


async def measure(free: Target, pinned: Target, scale: Scale, say: Say) -> Finding:
    """Probe both in turn; `pinned` has the dead entries."""
    dead = await dead_entries(pinned)
    async with AsyncExitStack() as stack:
        both = [
            await stack.enter_async_context(_probed(name, target, scale.samples))
            for name, target in (("no pin", free), ("pinned", pinned))
        ]
        for _ in range(max(1, scale.samples * ROUNDS_OF_SAMPLES // CHUNK)):
            for each in both:
                await each.chunk()
                p99 = quantile(each.prober.milliseconds, 0.99)
                say(f"pinned nearly empty, {each.name}: p99 {p99:.1f} ms")
    return _finding(both, dead)


async def dead_entries(target: Target) -> int:
    """Return how many dead rows the ready table holds."""
    await target.ask("SELECT pg_stat_force_next_flush()")
    await target.ask("SELECT pg_stat_clear_snapshot()")
    return await target.number(
        "SELECT n_dead_tup FROM pg_stat_all_tables WHERE relid = 'tidemill.ready'::regclass"
    )


@asynccontextmanager
async def _probed(name: str, target: Target, samples: int) -> AsyncGenerator[Probed]:
    await _leave_nothing(target)
    limit = await _limit(target, samples)
    async with target.counted(0) as counted, target.client() as db:
        prober = await Prober.of(Store.of(db))
        yield Probed(name, target, limit, prober, counted)


def _finding(both: Sequence[Probed], dead: int) -> Finding:
    free, pinned = (each.figures() for each in both)
    more = pinned["claim_p99_ms"] - free["claim_p99_ms"]
    return Finding(
        name="pinned, nearly empty",
        title=f"one task at a time, {dead:,} dead rows where pinned",
        columns=COLUMNS,
        rows=[_row(each) for each in both],
        figures={"dead_rows": dead, "no_pin": free, "pinned": pinned},
        bars=[Bar("ms that the dead rows add to a claim's p99", more, MOST_MORE, at_most=True)],
    )


def _row(probed: Probed) -> list[str]:
    *times, wal, statements = probed.figures().values()
    return [probed.name, *(number(each, 2) for each in times), number(wal, 0), number(statements)]


async def _leave_nothing(target: Target) -> None:
    await target.ask("DELETE FROM tidemill.ready")
    await target.ask("DELETE FROM tidemill.leases")


async def _limit(target: Target, transactions: int) -> float:
    newest, _ = await places(target)
    claims = await claims_for(target, 1, max(0, newest - TRAIL))
    return await pgbench.claim_milliseconds(target, scripts.steady_script(claims, 1), transactions)
