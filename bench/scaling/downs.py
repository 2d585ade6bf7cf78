"""Queues whose workers come and go all the time, and how often they went."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.case import BenchError
from bench.scaling import busy
from bench.scaling.loads import Load, Pattern
from bench.scaling.watching import Watch
from bench.subject import Say

SCALING = {
    "maxReplicas": 4,
    "idleSeconds": 1,
    "scaleDown": {"stabilizationWindowSeconds": 1},
}
"""As quick to take workers away as can be: each time is a chance to take a busy one."""
MOST_SECONDS = 600.0
SETTLE_SECONDS = 120.0
SAY_SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """So many queues with one load, called by a common first word."""

    name: str
    word: str
    count: int
    concurrency: int
    tasks_per_replica: int
    pattern: Pattern

    @property
    def queues(self) -> list[str]:
        """Their names."""
        return [f"{self.word}-{number}" for number in range(self.count)]

    def of(self, count: int) -> "Kind":
        """Return the same with so many queues."""
        return replace(self, count=count)

    def group(self, lowered: Counter[str]) -> busy.Group:
        """Return it as what is counted by, given how often each Deployment was lowered."""
        return busy.Group(self.name, self.queues, sum(lowered[each] for each in self.queues))

    @property
    def scaling(self) -> dict[str, Any]:
        """How they are scaled."""
        return {**SCALING, "tasksPerReplica": self.tasks_per_replica}


KINDS = (
    Kind(
        name="concurrency 1, bursts of mixed length",
        word="one",
        count=8,
        concurrency=1,
        tasks_per_replica=1,
        pattern=Load.bursts,
    ),
    Kind(
        name="concurrency 20, light load on all",
        word="many",
        count=2,
        concurrency=20,
        tasks_per_replica=5,
        pattern=Load.trickle,
    ),
)


async def until(watch: Watch, wanted: int, say: Say) -> None:
    """Wait for so many scale-downs, but not for ever, and say now and then how far it is."""
    ends = time.monotonic() + MOST_SECONDS
    while (seen := count(watch).total()) < wanted:
        if time.monotonic() > ends:
            say(f"only {seen} of {wanted} scale-downs within {MOST_SECONDS:g} s")
            return
        say(f"{seen} of {wanted} scale-downs")
        await asyncio.sleep(SAY_SECONDS)


def count(watch: Watch) -> Counter[str]:
    """Return how often each Deployment's replicas were lowered."""
    found, last = Counter[str](), dict[str, int]()
    for event in watch.events:
        name, replicas = event.words[0], int(event.words[1].replace("-", "0"))
        found[name] += replicas < last.get(name, 0)
        last[name] = replicas
    return found


async def settled(loads: Sequence[Load]) -> None:
    """Wait until all tasks have ended. Raises BenchError."""
    ends = time.monotonic() + SETTLE_SECONDS
    while sum([await each.open() for each in loads]):
        if time.monotonic() > ends:
            raise BenchError(f"tasks were left after {SETTLE_SECONDS:g} s")
        await asyncio.sleep(0.2)
