"""What one TaskQueue's decisions are made from, and what they remember between looks."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tidemill.settings import Settings
from tidemill_operator.body import part
from tidemill_operator.connections import Connections, connections_per_replica
from tidemill_operator.decision import Decision, Observation, decide, hold
from tidemill_operator.memory import Memory
from tidemill_operator.need import Clamp, Reading
from tidemill_operator.policy import Mode, Policy, mode_of
from tidemill_operator.targets import ready_of, replicas_of
from tidemill_operator.view import uid_of

LONGEST_START_SECONDS = 120.0
"""A start that takes longer waits for an image, a node or a person: it says nothing of the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """One look at one TaskQueue: `found` is its Deployment, `now` Unix time in seconds."""

    task_queue: Mapping[str, Any]
    found: Mapping[str, Any] | None
    reading: Reading | None
    now: float

    @property
    def mode(self) -> Mode:
        """Who sets the replicas."""
        return mode_of(self.task_queue["spec"])


class Sizing:
    """Decides for one TaskQueue. `carried_out` and `saw` bring its memory up to date."""

    def __init__(
        self, task_queue: Mapping[str, Any], settings: Settings, connections: Connections
    ) -> None:
        """Take up the memory that the TaskQueue's status holds."""
        self._settings = settings
        self._connections = connections
        self._memory = Memory.from_status(part(task_queue, "status", "scaling"))
        self._raised: float | None = None

    @property
    def start_seconds(self) -> float | None:
        """How long a new replica took to become ready lately; None when that was never seen."""
        return self._memory.start_seconds

    def decide(self, at: Situation) -> Decision:
        """Return what the TaskQueue's mode makes of `at`."""
        spec = at.task_queue["spec"]
        policy = self._policy(spec)
        # A Deployment that is still to be made starts from the fewest replicas.
        present = policy.min_replicas if at.found is None else replicas_of(at.found)
        if at.mode is Mode.OFF:
            reason = "spec.scaling.mode is Off: replicas are left alone"
            return self._ruled(at.mode, present, reason)
        if at.mode is Mode.EXTERNAL:
            asked = spec.get("replicas", 1)
            return self._ruled(at.mode, asked, f"spec.replicas asks for {asked}")
        return self._decide(at, policy, present)

    def _ruled(self, mode: Mode, replicas: int, reason: str) -> Decision:
        return Decision(replicas=replicas, rule=mode.value, reason=reason, memory=self._memory)

    def _decide(self, at: Situation, policy: Policy, present: int) -> Decision:
        uid, ready = uid_of(at.task_queue), 0 if at.found is None else ready_of(at.found)
        each = policy.connections_per_replica
        observation = Observation(
            now=at.now,
            replicas=present,
            ready=ready,
            reading=at.reading,
            free_connections=self._connections.left_for(uid, max(0, present - ready) * each),
        )
        decision = decide(observation, policy, self._memory)
        self._connections.claim(uid, max(0, decision.replicas - present) * each)
        return decision

    def _policy(self, spec: Mapping[str, Any]) -> Policy:
        each = connections_per_replica(spec, self._settings)
        return replace(Policy.of(spec), connections_per_replica=each)

    def hold(self, decision: Decision, replicas: int, clamp: Clamp | None) -> Decision:
        """Return the decision that ends at `replicas`, as far as can be gone now."""
        return hold(decision, replicas, clamp, self._memory)

    def carried_out(self, decision: Decision, *, before: int, now: float) -> None:
        """Remember a decision that found `before` replicas and has been written."""
        seen = self._memory.start_seconds  # it may have been measured since the decision
        self._memory = replace(decision.memory, start_seconds=seen)
        if decision.replicas > before:
            self._raised = now
        elif decision.replicas < before:
            self._raised = None

    def saw(self, deployment: Mapping[str, Any], now: float) -> None:
        """Measure how long the replicas that were added last took to become ready."""
        if self._raised is None or ready_of(deployment) < replicas_of(deployment):
            return
        took, self._raised = now - self._raised, None
        if 0 < took <= LONGEST_START_SECONDS:
            self._memory = self._memory.started(took)
