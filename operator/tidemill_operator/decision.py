"""How many workers? A pure function of what was seen, what is allowed and what is remembered.

Two rules give the need, the larger one counts:

    depth   ceil((B + running) / tasksPerReplica)
    wait    ceil(L * S / (c * rho) + B * S / (c * targetWait)), once S is measured

with B tasks waiting or about to fall due, L arrivals a second, S mean seconds a run, c slots a
replica and rho the planned utilisation. Then, in this order, each naming itself when it changes
the result: bounds, stabilisation windows, idle time before zero, step limits, bounds again, and
never zero while a task runs. An unknown reading holds what is.

`tidemill up` and the simulator use the same function: nothing here knows Kubernetes or a clock.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from tidemill_operator.memory import Memory
from tidemill_operator.policy import UTILISATION, Policy

STEP_SECONDS = 15.0
"""Time between two steps in one direction where a step limit is set."""

SHARP_RISE = 2
"""A need of this many times the present replicas is never held back by the scale-up window."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """`now` is Unix time in seconds. `reading` is None when the queue could not be read."""

    now: float
    replicas: int
    ready: int = 0
    reading: Reading | None


@dataclass(frozen=True, slots=True)
class Clamp:
    """A bound that changed the result: its name (as in the spec) and what it did, for people."""

    name: str
    effect: str

    def __str__(self) -> str:
        """Return the clamp as one phrase."""
        return f"{self.name}: {self.effect}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """`replicas` to have now. `memory` counts once the decision was carried out."""

    replicas: int
    reason: str
    clamps: tuple[Clamp, ...] = ()
    inputs: dict[str, float] = field(default_factory=dict[str, float])
    memory: Memory = field(default_factory=Memory)


def decide(observation: Observation, policy: Policy, memory: Memory) -> Decision:
    """Return how many replicas there should be now, and why."""
    reading = observation.reading
    if reading is None:
        return Decision(
            replicas=observation.replicas,
            reason=f"the queue cannot be read: {_replicas(observation.replicas)} held",
            clamps=(Clamp("unknown", "replicas are held"),),
            memory=memory,
        )
    steps = _Steps(observation, reading, policy, memory)
    return steps.decided()


def backlog(reading: Reading, policy: Policy) -> tuple[int, Clamp | None]:
    """Return the tasks that workers could start, and what keeps the others from it."""
    waiting = reading.queued + reading.due_soon
    if policy.paused or reading.paused:
        return 0, Clamp("paused", f"{waiting} waiting tasks do not count") if waiting else None
    for name, limit in _limits(reading, policy):
        room = max(0, limit - reading.running)
        if waiting > room:
            return room, Clamp(name, f"{room} of {waiting} waiting tasks may start")
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


def needed(reading: Reading, waiting: int, policy: Policy) -> tuple[int, str]:
    """Return the replicas that the rules call for, unbounded, and the rule in words."""
    depth = math.ceil((waiting + reading.running) / policy.tasks_per_replica)
    words = (
        f"{waiting} waiting and {reading.running} running tasks "
        f"at {policy.tasks_per_replica} a replica"
    )
    wait = _needed_for_wait(reading, waiting, policy)
    if wait is not None and wait > depth:
        return wait, (
            f"{reading.arrival_per_second:.3g} tasks/s of {reading.mean_run_seconds:.3g} s and "
            f"{waiting} waiting, to start within {policy.target_wait_seconds:g} s"
        )
    return depth, words


def _needed_for_wait(reading: Reading, waiting: int, policy: Policy) -> int | None:
    run_seconds = reading.mean_run_seconds
    if policy.target_wait_seconds is None or run_seconds is None:
        return None
    steady = reading.arrival_per_second * run_seconds / (policy.slots * UTILISATION)
    if policy.paused or reading.paused:
        steady = 0.0
    catching_up = waiting * run_seconds / (policy.slots * policy.target_wait_seconds)
    return math.ceil(steady + catching_up)


class _Steps:
    """One decision in the making: a result that each step may change, naming itself."""

    def __init__(
        self, observation: Observation, reading: Reading, policy: Policy, memory: Memory
    ) -> None:
        self._now = observation.now
        self._present = observation.replicas
        self._ready = observation.ready
        self._reading = reading
        self._policy = policy
        self._memory = memory
        self._clamps = list[Clamp]()
        self._result = 0

    def decided(self) -> Decision:
        waiting, limit = backlog(self._reading, self._policy)
        if limit is not None:
            self._clamps.append(limit)
        need, words = needed(self._reading, waiting, self._policy)
        self._result = need
        self._bound()
        self._remember(idle=waiting + self._reading.running == 0)
        self._stabilise()
        self._mind_zero(need)
        self._step()
        self._bound()
        self._spare_running()
        return Decision(
            replicas=self._result,
            reason=self._sentence(words, need),
            clamps=tuple(self._clamps),
            inputs=self._inputs(waiting, need),
            memory=self._stepped(),
        )

    def _become(self, replicas: int, name: str, effect: str) -> None:
        if replicas != self._result:
            self._result = replicas
            self._clamps.append(Clamp(name, effect))

    def _bound(self) -> None:
        least, most = self._policy.min_replicas, self._policy.max_replicas
        self._become(max(self._result, least), "minReplicas", f"at least {least}")
        self._become(min(self._result, most), "maxReplicas", f"at most {most}")

    def _remember(self, *, idle: bool) -> None:
        memory = self._memory
        if self._present > self._result and not memory.recent(self._now, self._window()):
            # Nothing is known of the time before: the replicas that are there stand for it.
            memory = memory.noting(self._now, self._present, keep_seconds=self._window())
        memory = memory.noting(self._now, self._result, keep_seconds=self._window())
        since = memory.idle_since
        if idle:
            since = self._now if since is None else min(since, self._now)
        self._memory = replace(memory, idle_since=since if idle else None)

    def _window(self) -> float:
        return max(self._policy.up.window_seconds, self._policy.down.window_seconds)

    def _stabilise(self) -> None:
        if self._result < self._present:
            window = self._policy.down.window_seconds
            highest = max(
                [self._result, *(each.high for each in self._memory.since(self._now - window))]
            )
            held = min(self._present, highest) if window else self._result
            self._become(held, "scaleDown.stabilizationWindowSeconds", f"{window:g} s not over")
        elif self._present < self._result < SHARP_RISE * self._present:
            window = self._policy.up.window_seconds
            lowest = min(
                [self._result, *(each.low for each in self._memory.since(self._now - window))]
            )
            held = max(self._present, lowest) if window else self._result
            self._become(held, "scaleUp.stabilizationWindowSeconds", f"{window:g} s not over")

    def _mind_zero(self, need: int) -> None:
        since = self._memory.idle_since
        if need > 0 or since is None or self._policy.min_replicas > 0:
            return
        # Nothing to do for all of idleSeconds says more than any window: the last ones go at once.
        if self._now - since >= self._policy.idle_seconds:
            self._clamps = [each for each in self._clamps if not each.name.startswith("scaleDown")]
            self._result = 0
        elif self._result == 0:
            effect = f"{self._policy.idle_seconds:g} s not over"
            self._become(min(self._present, 1), "idleSeconds", effect)

    def _step(self) -> None:
        if self._result > self._present:
            most = self._room(self._policy.up.max_step, self._memory.raised_at)
            self._become(min(self._result, self._present + most), "scaleUp.maxStep", _step(most))
        elif self._result < self._present:
            most = self._room(self._policy.down.max_step, self._memory.lowered_at)
            self._become(max(self._result, self._present - most), "scaleDown.maxStep", _step(most))

    def _room(self, max_step: int | None, last: float | None) -> int:
        if max_step is None:
            return max(self._present, self._policy.max_replicas)
        waiting = last is not None and 0 <= self._now - last < STEP_SECONDS
        return 0 if waiting else max_step

    def _spare_running(self) -> None:
        if self._reading.running > 0:
            running = f"{self._reading.running} tasks are running"
            self._become(max(self._result, min(1, self._present)), "running", running)

    def _stepped(self) -> Memory:
        if self._result > self._present:
            return replace(self._memory, raised_at=self._now)
        if self._result < self._present:
            return replace(self._memory, lowered_at=self._now)
        return self._memory

    def _sentence(self, words: str, need: int) -> str:
        parts = [f"{words} call for {need}"]
        if self._result == 0 and self._present > 0:
            parts = [f"nothing to do for {self._policy.idle_seconds:g} s"]
        parts += [str(each) for each in self._clamps]
        return f"{'; '.join(parts)}: {_replicas(self._result)}"

    def _inputs(self, waiting: int, need: int) -> dict[str, float]:
        reading = self._reading
        known: dict[str, float | None] = {
            "queued": reading.queued,
            "dueSoon": reading.due_soon,
            "waiting": waiting,
            "running": reading.running,
            "oldestSeconds": round(reading.oldest_seconds, 1),
            "arrivalPerSecond": round(reading.arrival_per_second, 3),
            "meanRunSeconds": reading.mean_run_seconds and round(reading.mean_run_seconds, 3),
            "replicas": self._present,
            "readyReplicas": self._ready,
            "needed": need,
        }
        return {name: value for name, value in known.items() if value is not None}


def _step(most: int) -> str:
    return f"at most {most} at once" if most else f"the last step was under {STEP_SECONDS:g} s ago"


def _replicas(count: int) -> str:
    return f"{count} replica" if count == 1 else f"{count} replicas"
