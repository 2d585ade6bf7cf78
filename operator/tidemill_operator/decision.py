"""How many workers? A pure function of what was seen, what is allowed and what is remembered.

The rules of `need` give what is called for. Then, in this order, each naming itself with a sentence
when it changes the result: bounds, stabilisation windows, idle time before zero, free database
connections, step limits, bounds again, and no worker with tasks in hand (protectBusy). While a task
runs the rules call for one worker at least. An unknown reading holds what is.

Replicas are counted as wanted, so workers that are still starting count: what is on its way is not
asked for again. `tidemill up` and the simulator use the same function: nothing here knows
Kubernetes or a clock.
"""

from dataclasses import dataclass, field, replace

from tidemill_operator.memory import Memory
from tidemill_operator.need import Clamp, Need, Reading, backlog, needed
from tidemill_operator.policy import Policy

STEP_SECONDS = 15.0
"""Time between two steps in one direction where a step limit is set."""

SHARP_RISE = 2
"""A need of this many times the present replicas is never held back by the scale-up window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """`now` is Unix time in seconds. `reading` is None when the queue could not be read.

    `busy` = replicas with tasks in hand, and `free_connections` = database connections left for new
    replicas, those of starting ones taken off; both None when unknown.
    """

    now: float
    replicas: int
    ready: int = 0
    reading: Reading | None
    busy: int | None = None
    free_connections: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """`replicas` to have now. `memory` counts once the decision was carried out.

    `rule` is depth, load, wait or idle, else unknown or the mode that decides (External, Off).
    """

    replicas: int
    reason: str
    rule: str = ""
    clamps: tuple[Clamp, ...] = ()
    inputs: dict[str, float] = field(default_factory=dict[str, float])
    memory: Memory = field(default_factory=Memory)

    @property
    def fingerprint(self) -> tuple[object, ...]:
        """What makes it another decision: not the figures, which move all the time."""
        return self.replicas, self.rule, tuple(each.name for each in self.clamps)


def decide(observation: Observation, policy: Policy, memory: Memory) -> Decision:
    """Return how many replicas there should be now, and why."""
    reading = observation.reading
    if reading is None:
        return Decision(
            replicas=observation.replicas,
            rule="unknown",
            reason=f"the queue cannot be read: {_replicas(observation.replicas)} held",
            clamps=(Clamp("unknown", "replicas are held until the queue can be read"),),
            inputs={"replicas": observation.replicas, "readyReplicas": observation.ready},
            memory=memory,
        )
    steps = _Steps(observation, reading, policy, memory)
    return steps.decided()


def hold(decision: Decision, replicas: int, clamp: Clamp | None, before: Memory) -> Decision:
    """Return the decision that ends at `replicas`, as far as can be gone now, because of `clamp`.

    `before` is the memory that it was made from: one that takes nothing away is no step down.
    """
    if replicas == decision.replicas or clamp is None:
        return decision
    lowered_at = decision.memory.lowered_at
    if replicas == decision.inputs.get("replicas"):
        lowered_at = before.lowered_at
    reason = decision.reason.rpartition(": ")[0] or decision.reason
    return replace(
        decision,
        replicas=replicas,
        reason=f"{reason}; {clamp.sentence}: {_replicas(replicas)}",
        clamps=(*decision.clamps, clamp),
        memory=replace(decision.memory, lowered_at=lowered_at),
    )


class _Steps:
    """One decision in the making: a result that each step may change, naming itself."""

    def __init__(
        self, observation: Observation, reading: Reading, policy: Policy, memory: Memory
    ) -> None:
        self._now = observation.now
        self._present = observation.replicas
        self._seen = observation
        self._reading = reading
        self._policy = policy
        self._memory = memory
        self._clamps = list[Clamp]()
        self._result = 0

    def decided(self) -> Decision:
        waiting, limit = backlog(self._reading, self._policy)
        if limit is not None:
            self._clamps.append(limit)
        need = needed(self._reading, waiting, self._policy, present=self._present)
        self._result = need.replicas
        self._bound()
        self._remember(idle=waiting + self._reading.running == 0)
        self._stabilise()
        self._mind_zero(need.replicas)
        self._fit_connections()
        self._step()
        self._bound()
        self._spare()
        gone_idle = self._result == 0 < self._present
        return Decision(
            replicas=self._result,
            rule="idle" if gone_idle else need.rule,
            reason=self._sentence(need, gone_idle=gone_idle),
            clamps=tuple(self._clamps),
            inputs=self._inputs(waiting, need.replicas),
            memory=self._stepped(),
        )

    def _become(self, replicas: int, name: str, sentence: str) -> None:
        if replicas != self._result:
            self._result = replicas
            self._clamps.append(Clamp(name, sentence))

    def _bound(self) -> None:
        least, most, called = self._policy.min_replicas, self._policy.max_replicas, self._result
        self._become(max(called, least), "minReplicas", f"at least {least} are kept, not {called}")
        self._become(
            min(self._result, most), "maxReplicas", f"at most {most} are allowed, not {called}"
        )

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
            sentence = f"{highest} were called for in the last {window:g} s, {self._result} are now"
            self._become(held, "scaleDown.stabilizationWindowSeconds", sentence)
        elif self._present < self._result < SHARP_RISE * self._present:
            window = self._policy.up.window_seconds
            lowest = min(
                [self._result, *(each.low for each in self._memory.since(self._now - window))]
            )
            held = max(self._present, lowest) if window else self._result
            sentence = (
                f"no more than {lowest} were called for throughout the last {window:g} s, "
                f"{self._result} are now"
            )
            self._become(held, "scaleUp.stabilizationWindowSeconds", sentence)

    def _mind_zero(self, need: int) -> None:
        since = self._memory.idle_since
        if need > 0 or since is None or self._policy.min_replicas > 0:
            return
        # Nothing to do for all of idleSeconds says more than any window: the last ones go at once.
        if self._now - since >= self._policy.idle_seconds:
            self._clamps = [each for each in self._clamps if not each.name.startswith("scaleDown")]
            self._result = 0
        elif self._result == 0:
            sentence = f"one worker stays until {self._policy.idle_seconds:g} s passed without work"
            self._become(min(self._present, 1), "idleSeconds", sentence)

    def _fit_connections(self) -> None:
        free, each = self._seen.free_connections, self._policy.connections_per_replica
        if free is None or each == 0 or self._result <= self._present:
            return
        room = max(0, free) // each
        sentence = (
            f"{max(0, free)} database connections are free, a worker takes up to {each}: "
            f"room for {room} more"
        )
        self._become(min(self._result, self._present + room), "freeConnections", sentence)

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

    def _spare(self) -> None:
        """Keep who has tasks in hand. Who knows not who they are keeps one: the rules see to it."""
        busy = self._seen.busy
        if busy and self._policy.protect_busy and self._result < self._present:
            sentence = f"{busy} of {self._present} workers have tasks in hand and are kept"
            self._become(max(self._result, min(busy, self._present)), "protectBusy", sentence)

    def _stepped(self) -> Memory:
        if self._result > self._present:
            return replace(self._memory, raised_at=self._now)
        if self._result < self._present:
            return replace(self._memory, lowered_at=self._now)
        return self._memory

    def _sentence(self, need: Need, *, gone_idle: bool) -> str:
        parts = [f"{need.words} call for {need.replicas}"]
        if gone_idle:
            parts = [f"nothing to do for {self._policy.idle_seconds:g} s"]
        parts += [each.sentence for each in self._clamps]
        return f"{'; '.join(parts)}: {_replicas(self._result)}"

    def _inputs(self, waiting: int, need: int) -> dict[str, float]:
        reading, seen = self._reading, self._seen
        known: dict[str, float | None] = {
            "queued": reading.queued,
            "dueSoon": reading.due_soon,
            "waiting": waiting,
            "running": reading.running,
            "oldestSeconds": round(reading.oldest_seconds, 1),
            "arrivalPerSecond": round(reading.arrival_per_second, 3),
            "meanRunSeconds": reading.mean_run_seconds and round(reading.mean_run_seconds, 3),
            "replicas": self._present,
            "readyReplicas": seen.ready,
            "startingReplicas": max(0, self._present - seen.ready),
            "busyReplicas": seen.busy,
            "freeConnections": seen.free_connections,
            "needed": need,
        }
        return {name: value for name, value in known.items() if value is not None}


def _step(most: int) -> str:
    if most:
        return f"at most {most} at once"
    return f"the last step was less than {STEP_SECONDS:g} s ago"


def _replicas(count: int) -> str:
    return f"{count} replica" if count == 1 else f"{count} replicas"
