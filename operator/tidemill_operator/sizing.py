"""What one TaskQueue's decisions are made from, and what they remember between looks."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tidemill.settings import Settings
from tidemill_operator.body import part
from tidemill_operator.connections import Connections, connections_per_replica
from tidemill_operator.course import Course
from tidemill_operator.decision import Decision, Observation
from tidemill_operator.memory import Memory
from tidemill_operator.need import Reading
from tidemill_operator.policy import Mode, Policy, mode_of
from tidemill_operator.targets import ready_of, replicas_of
from tidemill_operator.view import uid_of


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
    """Decides for one TaskQueue, on the course that its status remembers."""

    def __init__(
        self, task_queue: Mapping[str, Any], settings: Settings, connections: Connections
    ) -> None:
        """Take up the memory that the TaskQueue's status holds."""
        self._settings = settings
        self._connections = connections
        self.course = Course(Memory.from_status(part(task_queue, "status", "scaling")))

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
        return Decision(
            replicas=replicas, rule=mode.value, reason=reason, memory=self.course.memory
        )

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
        decision = self.course.decide(observation, policy)
        self._connections.claim(uid, max(0, decision.replicas - present) * each)
        return decision

    def _policy(self, spec: Mapping[str, Any]) -> Policy:
        each = connections_per_replica(spec, self._settings)
        return replace(Policy.of(spec), connections_per_replica=each)

    def saw(self, deployment: Mapping[str, Any], now: float) -> None:
        """Measure how long the replicas that were added last took to become ready."""
        ready, replicas = ready_of(deployment), replicas_of(deployment)
        self.course.saw(ready=ready, replicas=replicas, now=now)
