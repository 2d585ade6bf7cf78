"""One task to a queue without workers, on a whole cluster: when are there replicas, and a start?"""

import asyncio
import random
import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from bench.case import BenchError
from bench.findings import Bar, Finding, number, quantile
from bench.scaling import manifests
from bench.scaling.bare import bare_start
from bench.scaling.cluster import Stage
from bench.scaling.latency import P50_SECONDS, P95_SECONDS
from bench.scaling.loads import Load
from bench.scaling.watching import Watch
from bench.subject import Say, Scale
from tidemill.db import Database

NAME = "single"
SCALING = {"maxReplicas": 10, "idleSeconds": 0, "scaleDown": {"stabilizationWindowSeconds": 0}}
OVER_BARE_SECONDS = 1.2
PATIENCE_SECONDS = 120.0
COLUMNS = ("runs", "p50 s", "p95 s", "max s")
_STARTED = """
SELECT extract(epoch FROM started_at)::double precision FROM tidemill.attempts
 WHERE task_id = ANY ($1::uuid[]) AND outcome = 'succeeded'
"""


async def single_starts(stage: Stage, scale: Scale, say: Say) -> Finding:
    """Measure, a bare pod after each task."""
    scaled, started, bare = list[float](), list[float](), list[float]()
    async with stage.queues(manifests.owned(NAME, SCALING)) as watch:
        load = Load(stage.db, NAME, random.Random(NAME))
        for count in range(1 + scale.scalings):
            to_scale, to_start = await _one(stage, watch, load)
            of_bare = await bare_start(stage)
            if count:  # the first one brings images and caches
                scaled.append(to_scale)
                started.append(to_start)
                bare.append(of_bare)
            say(f"single: {to_scale:.3f} s to scale, {to_start:.2f} s to start, bare {of_bare:.2f}")
    return _finding({"to scale": scaled, "to start": started, "bare": bare})


async def _one(stage: Stage, watch: Watch, load: Load) -> tuple[float, float]:
    """Return the seconds from the call of enqueue to the replicas, and to the handler's start."""
    await asyncio.sleep(random.uniform(0.5, 2.5))  # in step with no tick
    began, wall = time.monotonic(), time.time()
    tasks = await load.nap(0.01)
    risen = await watch.first(
        lambda each: each.words == (NAME, "1"),
        after=began,
        seconds=PATIENCE_SECONDS,
        what="a replica for one task",
    )
    (started,) = await starts_of(stage.db, tasks)
    await stage.settled(watch, NAME, after=risen.at)
    return risen.at - began, started - wall


async def starts_of(db: Database, tasks: Sequence[UUID]) -> list[float]:
    """Return when these tasks were started, by the wall's clock, once all have succeeded."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while True:
        rows = await db.fetch(_STARTED, list(tasks))
        if len(rows) == len(tasks):
            return [float(row[0]) for row in rows]
        if time.monotonic() > ends:
            raise BenchError(f"{len(rows)} of {len(tasks)} tasks ended in {PATIENCE_SECONDS:g} s")
        await asyncio.sleep(0.1)


def _finding(found: dict[str, list[float]]) -> Finding:
    scaled, started, bare = found["to scale"], found["to start"], found["bare"]
    over = quantile(started, 0.5) - quantile(bare, 0.5)
    return Finding(
        name="scaling-cluster, one task",
        title="one task to a queue without workers, from the call of enqueue",
        columns=COLUMNS,
        rows=[
            row("to the new replicas", scaled, 3),
            row("to the start of its handler", started, 2),
            row("beside it: a bare pod's program runs", bare, 2),
        ],
        figures={"seconds": found},
        bars=[
            Bar(
                "seconds to the new replicas, p50", quantile(scaled, 0.5), P50_SECONDS, at_most=True
            ),
            Bar(
                "seconds to the new replicas, p95",
                quantile(scaled, 0.95),
                P95_SECONDS,
                at_most=True,
            ),
            Bar(
                "seconds of a start beyond a bare pod's, medians",
                over,
                OVER_BARE_SECONDS,
                at_most=True,
            ),
        ],
        notes=["bare: from the pod's creation to the first line of a Python that prints the time"],
    )


def row(name: str, seconds: Sequence[float], digits: int) -> list[str]:
    """Return a row of the table."""
    shares: list[Any] = [quantile(seconds, share) for share in (0.5, 0.95, 1.0)]
    return [name, str(len(seconds)), *(number(each, digits) for each in shares)]
