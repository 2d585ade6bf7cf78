"""An old snapshot is held by another session: vacuum removes nothing while it lasts."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from statistics import median

from bench import nearly
from bench.case import BenchError
from bench.findings import Bar, Finding
from bench.measure import Line, Sample, line, ratios
from bench.server import Bed
from bench.shares import COLUMNS, row
from bench.steady import Load, SqlLoad, WorkerLoad
from bench.subject import Say, Scale, Subject
from bench.target import Target
from bench.workers import working

LEAST_SHARE = 0.70
"""Of its own throughput without, that a load must keep under the pin."""

LAST_SECONDS = 10
BATCH, CONNECTIONS = 500, 2
MOST_SLICES = 30


class Pinned(Subject):
    """Two databases take turns under the same load; on one of them a snapshot is held all the time.

    Then, with the dead entries that this has left, both are nearly empty: one task at a time.
    """

    name = "pinned"

    async def run(self, bed: Bed, scale: Scale, say: Say) -> list[Finding]:
        """Measure."""
        async with bed.database() as free, bed.database() as target:
            await free.empty()
            await target.empty()
            async with pin(target):
                runs = [
                    await _workers((free, target), scale, say),
                    await _scripts((free, target), scale, say),
                ]
                empty = await nearly.measure(free, target, scale, say)
        return [_finding(runs, scale), empty]


@asynccontextmanager
async def pin(target: Target) -> AsyncGenerator[None]:
    """Hold a snapshot that is as old as the block. Raises BenchError if it did not last."""
    async with target.client() as db, db.transaction(snapshot=True) as session:
        await session.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        await session.fetchval("SELECT count(*) FROM tidemill.ready")
        yield
        held = await session.fetchval(
            "SELECT backend_xmin IS NOT NULL FROM pg_stat_activity WHERE pid = pg_backend_pid()"
        )
        if not held:
            raise BenchError("the snapshot was not held")


@dataclass(frozen=True, slots=True)
class Run:
    """One load, slice by slice: without the pin and under it."""

    name: str
    meaning: str
    free: list[Sample]
    pinned: list[Sample]

    def lines(self) -> list[Line]:
        """Return the line without, and the one under the pin as a share of it."""
        return [
            line(f"{self.name}, no pin", self.meaning, self.free, None),
            line(f"{self.name}, pinned", f"{self.meaning}, under a pin", self.pinned, self.free),
        ]

    def bars(self, slice_seconds: int) -> list[Bar]:
        """Return what is asked of the whole length, and of its last 10 seconds."""
        last = ratios(self.pinned, self.free)[-max(1, LAST_SECONDS // slice_seconds) :]
        whole = _rate(self.pinned) / _rate(self.free)
        return [
            Bar(f"{self.name} under the pin as a share of itself without", whole, LEAST_SHARE),
            Bar(f"{self.name}, the same for the last {LAST_SECONDS} s", median(last), LEAST_SHARE),
        ]


async def _workers(targets: Sequence[Target], scale: Scale, say: Say) -> Run:
    run = Run("worker, 1 process", "`tidemill worker` beside a producer", [], [])
    async with AsyncExitStack() as stack:
        counted = [await stack.enter_async_context(each.counted(0)) for each in targets]
        async with AsyncExitStack() as running:
            loads = [
                WorkerLoad(each, await running.enter_async_context(working(each, 1)))
                for each in targets
            ]
            await _in_turn(loads, run, scale.pinned_seconds, scale, say)
    for samples, whole in zip((run.free, run.pinned), counted, strict=True):
        tasks = sum(each.tasks for each in samples)
        for each in samples:
            each.statements = round(whole.statements * each.tasks / tasks)
    return run


async def _scripts(targets: Sequence[Target], scale: Scale, say: Say) -> Run:
    run = Run(
        f"SQL, {CONNECTIONS} x {BATCH}", "the limit: enqueue, claim and finish by pgbench", [], []
    )
    loads = [SqlLoad(each, BATCH, CONNECTIONS) for each in targets]
    for each in loads:
        await each.begin()
    await _in_turn(loads, run, scale.pinned_seconds // 3, scale, say)
    for _ in range(MOST_SLICES):  # what follows wants its dead entries
        if await nearly.dead_entries(targets[1]) >= scale.many:
            break
        await loads[1].slice(scale.slice_seconds)
    return run


async def _in_turn(loads: Sequence[Load], run: Run, seconds: int, scale: Scale, say: Say) -> None:
    """Give each load so many seconds in all, a slice at a time, there and back."""
    for number in range(max(1, seconds // scale.slice_seconds)):
        pairs = list(zip(loads, (run.free, run.pinned), strict=True))
        for load, samples in pairs if number % 2 == 0 else pairs[::-1]:
            samples.append(await load.slice(scale.slice_seconds))
        free, pinned = (each[-1].tasks_per_second for each in (run.free, run.pinned))
        at = (number + 1) * scale.slice_seconds
        say(f"pinned {at:>3} s  {run.name:<20} {free:>8,.0f}, pinned {pinned:>8,.0f} tasks/s")


def _rate(samples: Sequence[Sample]) -> float:
    return sum(each.tasks for each in samples) / sum(each.seconds for each in samples)


def _finding(runs: Sequence[Run], scale: Scale) -> Finding:
    lines = [each for run in runs for each in run.lines()]
    workers, limit = runs
    share = _rate(workers.free) / _rate(limit.free)
    pinned = _rate(workers.pinned) / _rate(limit.pinned)
    return Finding(
        name="pinned",
        title=f"a snapshot held for {scale.pinned_seconds} s of load and more, medians of "
        f"{scale.slice_seconds} s each",
        columns=(*COLUMNS[:-1], "of itself (min - max)"),
        rows=[row(each, "") for each in lines],
        figures={"seconds": scale.pinned_seconds, "lines": [each.to_json() for each in lines]},
        bars=[bar for run in runs for bar in run.bars(scale.slice_seconds)],
        notes=[f"the worker as a share of the limit: {share:.2f}, both pinned: {pinned:.2f}"],
    )
