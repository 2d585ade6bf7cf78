"""How soon a Deployment's replicas change after an enqueue, with the API server alone."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from bench.findings import Bar, Finding, number, quantile
from bench.latency import Client, Function, Way
from bench.scaling.plane import TICK_SECONDS, operated, told
from bench.scaling.watching import Access, Event, Watch, watching
from bench.scripts import QUEUE
from bench.server import Bed
from bench.subject import Say, Scale, Subject
from bench.target import Target
from tests.support.control_plane import plain_deployment, task_queue
from tidemill.connecting import Connector
from tidemill.notify import CHANNEL, Hints

NAME = "bench"
SCALING = {"idleSeconds": 0, "scaleDown": {"stabilizationWindowSeconds": 0}}
"""Back to zero as soon as nothing waits, so that the next run can begin."""
P50_SECONDS, P95_SECONDS = 0.3, 1.0
PATIENCE_SECONDS = 60.0
COLUMNS = ("runs", "p50 ms", "p95 ms", "max ms")


@dataclass(frozen=True, slots=True)
class Run:
    """When things happened after the call of enqueue, in seconds."""

    committed: float
    heard: float
    """A notification of it came to a listener beside the operator's"""
    scaled: float
    """A watch told of the new replicas"""


@dataclass(frozen=True, slots=True)
class Series:
    """The runs of one way to enqueue."""

    name: str
    runs: list[Run]

    def rows(self) -> list[list[str]]:
        """Return the table's rows: the whole, then where it went."""
        return [
            _row(self.name, [each.scaled for each in self.runs]),
            _row("  enqueue, its commit included", [each.committed for each in self.runs]),
            _row("  call to notification", [each.heard for each in self.runs]),
            _row("  notification to replicas", [each.scaled - each.heard for each in self.runs]),
        ]

    def bars(self) -> list[Bar]:
        """Return the bars."""
        scaled = [each.scaled for each in self.runs]
        what = f"seconds from enqueue to replicas ({self.name})"
        return [
            Bar(f"{what}, p50", quantile(scaled, 0.5), P50_SECONDS, at_most=True),
            Bar(f"{what}, p95", quantile(scaled, 0.95), P95_SECONDS, at_most=True),
        ]

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        found = [
            {"committed": each.committed, "heard": each.heard, "scaled": each.scaled}
            for each in self.runs
        ]
        return {"name": self.name, "seconds_after_the_call": found}


class ScalingLatency(Subject):
    """Single tasks to an empty queue, from the call of enqueue to the change of the replicas."""

    name = "scaling-latency"
    by_default = False
    ways: tuple[Way, ...] = (Client(), Function(notify=True))

    async def run(self, bed: Bed, scale: Scale, say: Say) -> list[Finding]:
        """Measure."""
        found: list[Series] = []
        async with bed.database() as target, operated(target, say) as plane:
            access = Access(plane.kubectl, plane.kubeconfig, plane.namespace)
            fields = (".metadata.name", ".spec.replicas")
            with told():
                plane.apply(plain_deployment(NAME, replicas=0))
                spec = {"queue": QUEUE, "scaleTargetRef": {"name": NAME}, "scaling": SCALING}
                plane.apply(task_queue(NAME, spec))
            async with watching(access, "deployments", *fields) as watch:
                for way, name in zip(self.ways, ("client's NOTIFY", "NOTIFY in SQL"), strict=True):
                    found.append(Series(name, await _series(target, watch, way, scale.scalings)))
                    p50 = quantile([each.scaled for each in found[-1].runs], 0.5)
                    say(f"scaling-latency: {name}: p50 {p50 * 1000:.0f} ms")
        return [_finding(found)]


async def _series(target: Target, watch: Watch, way: Way, runs: int) -> list[Run]:
    """Let single tasks come, each to an empty queue without workers; the first does not count."""
    async with target.client() as db, Hints(db) as hints, _hearing(target) as heard:
        found: list[Run] = []
        for _ in range(1 + runs):
            await asyncio.sleep(random.uniform(0.2, 0.2 + TICK_SECONDS))  # in step with no tick
            began, before = time.monotonic(), len(heard)
            await way.enqueue(db, hints)
            committed = time.monotonic()
            scaled = await _replicas(watch, "1", after=began)
            # A tick may see the task before its notification is sent.
            hint = await _nth(heard, before)
            found.append(Run(committed - began, hint - began, scaled.at - began))
            emptied = time.monotonic()
            await target.ask("TRUNCATE tidemill.ready")
            await target.ask("SELECT pg_notify($1, '')", CHANNEL)  # no need to wait for the tick
            await _replicas(watch, "-", after=emptied)
        return found[1:]


async def _nth(times: Sequence[float], number: int) -> float:
    """Return the time at `number` once it is there."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(times) <= number:  # noqa: ASYNC110  a callback of asyncpg fills it
            await asyncio.sleep(0.01)
    return times[number]


async def _replicas(watch: Watch, wanted: str, *, after: float) -> Event:
    return await watch.first(
        lambda each: each.words == (NAME, wanted),
        after=after,
        seconds=PATIENCE_SECONDS,
        what=f"{wanted} replicas",
    )


@asynccontextmanager
async def _hearing(target: Target) -> AsyncGenerator[list[float]]:
    """Yield the times at which a listener heard of the queue."""
    times: list[float] = []

    def heard(_connection: object, _pid: int, _channel: str, payload: object) -> None:
        if payload == QUEUE:
            times.append(time.monotonic())

    connection = await Connector(target.settings, application="bench-listener", direct=True)()
    try:
        await connection.add_listener(CHANNEL, heard)
        yield times
    finally:
        connection.terminate()


def _finding(found: list[Series]) -> Finding:
    return Finding(
        name="scaling-latency",
        title="a task to an empty queue without workers, from enqueue to the new replicas",
        columns=COLUMNS,
        rows=[row for each in found for row in each.rows()],
        figures={"cases": [each.to_json() for each in found]},
        bars=[bar for each in found for bar in each.bars()],
        notes=[f"API server without nodes; operator with its default tick of {TICK_SECONDS:g} s"],
    )


def _row(name: str, seconds: list[float]) -> list[str]:
    shares = [quantile(seconds, share) * 1000 for share in (0.5, 0.95, 1.0)]
    return [name, str(len(seconds)), *(number(each) for each in shares)]
