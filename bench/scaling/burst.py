"""A hundred tasks at once to a queue without workers, on a whole cluster."""

import asyncio
import random
import time
from dataclasses import dataclass
from typing import Any

from bench.findings import Bar, Finding, number
from bench.scaling import manifests
from bench.scaling.bare import bare_start
from bench.scaling.cluster import Stage
from bench.scaling.loads import Load
from bench.scaling.starts import starts_of
from bench.scaling.watching import Watch
from bench.subject import Say, Scale

NAME = "burst"
TASKS, SECONDS, MOST = 100, 2.0, 10
SCALING = {
    "maxReplicas": MOST,
    "tasksPerReplica": 5,
    "idleSeconds": 2,
    "scaleDown": {"stabilizationWindowSeconds": 2},
}
ONE_STEP_SECONDS = 1.0
BEYOND_SECONDS = TASKS * SECONDS / MOST + 2.0
"""What the work takes of ten workers, and two seconds"""


@dataclass(frozen=True, slots=True)
class Round:
    """One burst. Seconds from the call of enqueue."""

    steps: tuple[tuple[float, int], ...]
    """When the replicas changed, and to what, until they were as many as they may be"""
    first_start: float
    empty: float
    bare: float
    """For ten bare pods at once, beside it"""

    def row(self, name: str) -> list[str]:
        """Return the table's row."""
        replicas = ", ".join(str(count) for _, count in self.steps)
        times = (self.steps[-1][0], self.first_start, self.empty, self.bare)
        return [name, replicas, *(number(each, 2) for each in times)]

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {
            "steps": [list(each) for each in self.steps],
            "first_start_seconds": self.first_start,
            "empty_seconds": self.empty,
            "ten_bare_pods_seconds": self.bare,
        }


async def burst(stage: Stage, scale: Scale, say: Say) -> Finding:
    """Measure, ten bare pods before each burst."""
    rounds: list[Round] = []
    async with stage.queues(manifests.owned(NAME, SCALING)) as watch:
        for _ in range(scale.bursts):
            rounds.append(await _round(stage, watch))
            say(f"burst: empty after {rounds[-1].empty:.1f} s")
    return _finding(rounds)


async def _round(stage: Stage, watch: Watch) -> Round:
    bare = await bare_start(stage, MOST)
    await asyncio.sleep(random.uniform(0.5, 2.5))  # in step with no tick
    began, wall = time.monotonic(), time.time()
    tasks = await Load(stage.db, NAME, random.Random(NAME)).nap(*[SECONDS] * TASKS)
    full = await watch.first(
        lambda each: each.words == (NAME, str(MOST)),
        after=began,
        seconds=120,
        what=f"{MOST} replicas",
    )
    started = await starts_of(stage.db, tasks)
    await stage.settled(watch, NAME, after=full.at)
    steps = _steps(watch, began, full.at)
    return Round(
        steps=tuple((at - began, count) for at, count in steps),
        first_start=min(started) - wall,
        empty=max(started) + SECONDS - wall,
        bare=bare,
    )


def _steps(watch: Watch, began: float, ends: float) -> list[tuple[float, int]]:
    found: list[tuple[float, int]] = []
    for event in watch.events:
        if began < event.at <= ends and event.words[0] == NAME and event.words[1] != "-":
            count = int(event.words[1])
            if not found or found[-1][1] != count:
                found.append((event.at, count))
    return found


def _finding(rounds: list[Round]) -> Finding:
    worst = max(each.empty - each.bare for each in rounds)
    return Finding(
        name="scaling-cluster, burst",
        title=f"{TASKS} tasks of {SECONDS:g} s at once, no workers, at most {MOST} replicas",
        columns=("replicas", "s to the last", "first start s", "empty s", "ten bare pods s"),
        rows=[each.row(f"burst {place + 1}") for place, each in enumerate(rounds)],
        figures={"bursts": [each.to_json() for each in rounds]},
        bars=[
            Bar(
                f"steps to {MOST} replicas, most of all bursts",
                max(len(each.steps) for each in rounds),
                1,
                at_most=True,
            ),
            Bar(
                f"seconds to {MOST} replicas, most of all bursts",
                max(each.steps[-1][0] for each in rounds),
                ONE_STEP_SECONDS,
                at_most=True,
            ),
            Bar(
                "seconds until empty beyond the start of ten bare pods, worst burst",
                worst,
                BEYOND_SECONDS,
                at_most=True,
            ),
        ],
        notes=[f"the work itself takes {TASKS * SECONDS / MOST:g} s of {MOST} workers"],
    )
