"""What a claim costs, however many tasks wait, are scheduled or have completed."""

from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from bench import history, pgbench, scripts
from bench.arguments import LEASE_SECONDS
from bench.drain import claims_for, finish, info
from bench.explaining import Cost, Explaining
from bench.findings import Bar, Finding, number, quantile
from bench.scripts import QUEUE
from bench.server import Bed
from bench.subject import Say, Scale, Subject
from bench.target import Target
from tidemill.store import Store
from tidemill.store.claimer import Claimer
from tidemill.store.hints import TRAIL

BATCHES = (1, 10, 100)
FEW = 1000
MOST_MORE = 1.20
"""The claim among many as a multiple of the claim among few"""
TOMORROW = 86_400.0
COLUMNS = (
    *("batch", "server ms", "of few", "buffers", "of few", "WAL B/task", "stmts/task"),
    *("SQL's claim ms", "of few"),
)


@dataclass(slots=True)
class Place:
    """A database in some state, and what claims cost there, by batch."""

    name: str
    target: Target
    store: Store
    claimer: Claimer
    explaining: Explaining
    costs: dict[int, list[Cost]] = field(default_factory=dict[int, list[Cost]])
    limits: dict[int, float] = field(default_factory=dict[int, float])

    async def claim(self, batch: int) -> None:
        """Claim a batch, note its cost, and leave the queue as deep as it was."""
        self.explaining.costs.clear()
        claimed = await self.claimer.claim(batch)
        self.costs.setdefault(batch, []).extend(self.explaining.costs[:1])
        await finish(self.store, claimed)
        await self.target.add(len(claimed))

    async def drive(self, batch: int, times: int) -> None:
        """Note what the same claim takes in pgbench."""
        first = await self.target.number("SELECT coalesce(min(seq), 0) FROM tidemill.ready")
        claims = await claims_for(self.target, 1, floor=max(0, first - TRAIL))
        script = scripts.steady_script(claims, batch)
        self.limits[batch] = await pgbench.claim_milliseconds(self.target, script, times)

    def figures(self, batch: int) -> dict[str, float]:
        """Return the figures of a batch's claims.

        Of the times the lower quartile: what else the machine does only ever adds, and to a claim
        of a millisecond a turn of the scheduler adds several times itself.
        """
        costs = self.costs[batch]
        return {
            "server_ms": quantile([each.milliseconds for each in costs], 0.25),
            "buffers": median(each.buffers for each in costs),
            "wal_bytes_per_task": median(each.wal_bytes for each in costs) / batch,
            "statements_per_task": 1 / batch,
            "sql_ms": self.limits[batch],
        }


class ClaimCost(Subject):
    """The same claims among few tasks and among many, in turn."""

    name = "claim"

    async def run(self, bed: Bed, scale: Scale, say: Say) -> list[Finding]:
        """Measure."""
        async with AsyncExitStack() as stack:
            found: list[Place] = []
            for name, fill in _states(scale.many).items():
                say(f"claim: preparing {name}")
                target = await stack.enter_async_context(bed.database())
                await fill(target)
                found.append(await stack.enter_async_context(_place(name, target)))
            await _explain(found, scale, say)
            for batch in BATCHES:
                say(f"claim: the limit, {batch} at a time")
                for each in found:
                    await each.drive(batch, scale.samples)
        return [_finding(found, scale)]


async def _explain(found: Sequence[Place], scale: Scale, say: Say) -> None:
    for turn in range(scale.samples):
        for batch in BATCHES:
            for each in found if turn % 2 else found[::-1]:
                await each.claim(batch)
        if (turn + 1) % 10 == 0:
            say(f"claim: {turn + 1}/{scale.samples} of each batch")


def _states(many: int) -> dict[str, Callable[[Target], Coroutine[Any, Any, None]]]:
    """Return how to make each state; the first is what the others are compared with."""

    async def scheduled(target: Target) -> None:
        await target.fill(FEW)
        await target.add(many, delay=TOMORROW)
        await target.ask("ANALYZE tidemill.scheduled")

    async def completed(target: Target) -> None:
        await history.complete(target, many)
        await target.fill(FEW)

    return {
        f"{FEW:,} ready": lambda target: target.fill(FEW),
        f"{many:,} ready": lambda target: target.fill(many),
        f"{many:,} scheduled": scheduled,
        f"{many:,} completed": completed,
    }


@asynccontextmanager
async def _place(name: str, target: Target) -> AsyncGenerator[Place]:
    async with target.client() as db:
        explaining = Explaining(db)
        store = Store.of(explaining)
        worker = await store.workers.register(info(0))
        claimer = Claimer(store, worker, queues=[QUEUE], lease_seconds=LEASE_SECONDS)
        place = Place(name, target, store, claimer, explaining)
        for batch in BATCHES:  # the first reads the queue whole
            await place.claim(batch)
        place.costs.clear()
        yield place


def _finding(found: Sequence[Place], scale: Scale) -> Finding:
    few, *others = found
    figures = {each.name: {str(b): each.figures(b) for b in BATCHES} for each in found}
    return Finding(
        name="claim",
        title=f"{scale.samples} claims of each batch, lower quartiles of times; {FEW:,} ready "
        "beside what is scheduled or completed",
        columns=COLUMNS,
        rows=[_row(each, few, batch) for batch in BATCHES for each in found],
        figures={"states": figures},
        bars=[
            Bar(
                f"the claim at {each.name} as a multiple of that at {few.name}, worst batch",
                max(_multiple(each, few, batch, "server_ms") for batch in BATCHES),
                MOST_MORE,
                at_most=True,
            )
            for each in others
        ],
    )


def _multiple(place: Place, few: Place, batch: int, figure: str) -> float:
    return place.figures(batch)[figure] / few.figures(batch)[figure]


def _row(place: Place, few: Place, batch: int) -> list[str]:
    figures = place.figures(batch)
    times = {
        each: number(_multiple(place, few, batch, each), 2)
        for each in ("server_ms", "buffers", "sql_ms")
    }
    return [
        place.name,
        str(batch),
        *(number(figures["server_ms"], 3), times["server_ms"]),
        *(number(figures["buffers"], 0), times["buffers"]),
        *(number(figures["wal_bytes_per_task"], 0), number(figures["statements_per_task"], 2)),
        *(number(figures["sql_ms"], 3), times["sql_ms"]),
    ]
