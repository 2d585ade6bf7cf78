"""How many workers does a queue need? The rules, before any bound or memory. Pure.

With B tasks waiting or about to fall due, L arrivals a second, S mean seconds a run, c slots a
replica and rho the planned utilisation, the largest of these counts:

    depth   ceil((B + running) / tasksPerReplica)
    load    ceil(L * S / (c * rho)), once S is measured and while there is work: without it a depth
            rule that is content with a short queue would take away workers that keep it short
    wait    ceil(L * S / (c * rho) + B * S / (c * targetWait)), with a target and S measured

Load and wait are measured, so they waver: within TOLERANCE they call for what is there.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from tidemill_operator.policy import UTILISATION, Policy

TOLERANCE = 0.15
"""A measured load this near to what the present replicas are for does not change them.

Arrivals at random make the measure waver by a tenth and more. Played at 2 tasks/s of 2 s for half
an hour, six times: 11 changes of direction without it, 2.7 with 0.1, 1 with 0.15, the same waits.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the database says of the queue, or of all queues that are served together.

    `due_soon` = scheduled tasks due before a new replica could have started.
    """

    queued: int
    running: int
    due_soon: int = 0
    oldest_seconds: float = 0.0
    arrival_per_second: float = 0.0
    mean_run_seconds: float | None = None
    paused: bool = False
    max_running: int | None = None


@dataclass(frozen=True, slots=True)
class Clamp:
    """A bound that changed the result: its name (as in the spec) and what it did, a sentence."""

    name: str
    sentence: str

    def __str__(self) -> str:
        """Return name and sentence."""
        return f"{self.name}: {self.sentence}"


@dataclass(frozen=True, slots=True)
class Need:
    """Replicas called for, the rule that calls (depth | load | wait), and its figures in words."""

    replicas: int
    rule: str
    words: str


def backlog(reading: Reading, policy: Policy) -> tuple[int, Clamp | None]:
    """Return the tasks that workers could start, and what keeps the others from it."""
    waiting = reading.queued + reading.due_soon
    if policy.paused or reading.paused:
        sentence = f"the queue is paused, so its {waiting} waiting tasks do not count"
        return 0, Clamp("paused", sentence) if waiting else None
    for name, limit in _limits(reading, policy):
        room = max(0, limit - reading.running)
        if waiting > room:
            sentence = f"only {room} of {waiting} waiting tasks may start ({limit} run at once)"
            return room, Clamp(name, sentence)
    return waiting, None


def _limits(reading: Reading, policy: Policy) -> Iterator[tuple[str, int]]:
    """Yield the tasks that each limit lets run at once, the tightest first."""
    limits = list[tuple[str, int]]()
    limits += [
        ("maxRunning", most)
        for most in (policy.max_running, reading.max_running)
        if most is not None
    ]
    if policy.tasks_per_second is not None and reading.mean_run_seconds is not None:
        at_once = max(1, math.ceil(policy.tasks_per_second * reading.mean_run_seconds))
        limits.append(("rateLimit", at_once))
    yield from sorted(limits, key=lambda each: each[1])


def needed(reading: Reading, waiting: int, policy: Policy, *, present: int = 0) -> Need:
    """Return the replicas that the rules call for, unbounded, with the rule that asks for most.

    The measured rules call for the `present` replicas while their figure is within TOLERANCE.
    """
    depth = math.ceil((waiting + reading.running) / policy.tasks_per_replica)
    words = (
        f"{waiting} waiting and {reading.running} running tasks "
        f"at {policy.tasks_per_replica} a replica"
    )
    found = Need(depth, "depth", words)
    for other in _measured(reading, waiting, policy, present):
        if other.replicas > found.replicas:
            found = other
    return found


def _measured(reading: Reading, waiting: int, policy: Policy, present: int) -> Iterator[Need]:
    """Yield the needs by the measured arrivals and run time."""
    run_seconds = reading.mean_run_seconds
    if run_seconds is None or waiting + reading.running == 0:
        return
    arrivals = 0.0 if policy.paused or reading.paused else reading.arrival_per_second
    if policy.tasks_per_second is not None:
        arrivals = min(arrivals, policy.tasks_per_second)
    load = arrivals * run_seconds / (policy.slots * UTILISATION)
    figures = f"{arrivals:.3g} tasks/s of {run_seconds:.3g} s each"
    most = [each for each in (policy.max_running, reading.max_running) if each is not None]
    load = min([load, *(each / policy.slots for each in most)])
    yield _steadied(load, present, "load", f"{figures} at {policy.slots} at once a replica")
    if policy.target_wait_seconds is not None:
        catching_up = waiting * run_seconds / (policy.slots * policy.target_wait_seconds)
        words = f"{figures} and {waiting} waiting, to start within {policy.target_wait_seconds:g} s"
        yield _steadied(load + catching_up, present, "wait", words)


def _steadied(load: float, present: int, rule: str, words: str) -> Need:
    """Return the need of a measured load: the replicas that are there, if it makes little odds."""
    exact = math.ceil(load)
    near = (present - 1) / (1 + TOLERANCE) < load <= present * (1 + TOLERANCE)
    if near and exact != present:
        return Need(present, rule, f"{words} ({load:.3g}, within {TOLERANCE:.0%} of {present})")
    return Need(exact, rule, words)
