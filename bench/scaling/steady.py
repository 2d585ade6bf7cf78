"""A steady trickle of tasks, on a whole cluster: do the workers stay as many?"""

import asyncio
import random
import time
from itertools import pairwise

from bench.findings import Bar, Finding, number
from bench.scaling import manifests
from bench.scaling.cluster import Stage
from bench.scaling.loads import Load
from bench.scaling.watching import Watch
from bench.subject import Say, Scale

NAME = "steady"
EVERY_SECONDS, SECONDS, NEEDED = 0.5, 1.9, 5
"""1.9 s of work every half second, by workers that are to be busy four fifths of the time"""
SCALING = {"maxReplicas": 10, "tasksPerReplica": 5}
WARM_SECONDS = 80.0
"""Arrivals are counted over the last minute: until then it seems less"""


async def steady(stage: Stage, scale: Scale, say: Say) -> Finding:
    """Measure, once what came before the trickle is forgotten."""
    async with stage.queues(manifests.owned(NAME, SCALING)) as watch:
        say(f"steady: {WARM_SECONDS:g} s to warm up, then {scale.steady_seconds} s")
        load = Load(stage.db, NAME, random.Random(NAME))
        began = time.monotonic()
        ends = began + WARM_SECONDS + scale.steady_seconds
        while (now := time.monotonic()) < ends:
            await load.nap(SECONDS)
            await asyncio.sleep(max(0.0, now + EVERY_SECONDS - time.monotonic()))
        held = _held(watch, began + WARM_SECONDS, ends)
    return _finding(held, scale.steady_seconds)


def _held(watch: Watch, began: float, ends: float) -> list[int]:
    """Return the replicas at `began` and each other number until `ends`."""
    found = [0]
    for event in watch.events:
        replicas = int(event.words[1].replace("-", "0"))
        if event.words[0] != NAME or event.at > ends:
            continue
        if event.at <= began:
            found = [replicas]
        elif found[-1] != replicas:
            found.append(replicas)
    return found


def turns(counts: list[int]) -> int:
    """Return how often a series of numbers turns from up to down or back."""
    ways = [later > earlier for earlier, later in pairwise(counts)]
    return sum(one != other for one, other in pairwise(ways))


def _finding(held: list[int], seconds: int) -> Finding:
    off = max(abs(each - NEEDED) for each in held)
    figures = (min(held), max(held), len(held) - 1, turns(held))
    return Finding(
        name="scaling-cluster, steady",
        title=f"a task of {SECONDS:g} s every {EVERY_SECONDS:g} s, which needs {NEEDED} workers",
        columns=("seconds", "least", "most", "changes", "of direction"),
        rows=[["replicas", str(seconds), *(number(each, 0) for each in figures)]],
        figures={"seconds": seconds, "replicas": held, "turns": turns(held)},
        bars=[Bar(f"replicas away from {NEEDED}, at most ever", off, 1, at_most=True)],
    )
