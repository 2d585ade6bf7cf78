"""What decisions taught so far, brought up to date as they are carried out. Pure but for itself."""

from dataclasses import replace

from tidemill_operator.decision import Decision, Observation, decide, hold
from tidemill_operator.memory import Memory
from tidemill_operator.need import Clamp
from tidemill_operator.policy import Policy

LONGEST_START_SECONDS = 120.0
"""A start that takes longer waits for an image, a node or a person: it says nothing of the next."""


class Course:
    """One queue's decisions, one after the other."""

    def __init__(self, memory: Memory) -> None:
        """Go on from `memory`."""
        self.memory = memory
        self._raised: float | None = None

    @property
    def start_seconds(self) -> float | None:
        """How long a new replica took to become ready lately; None when that was never seen."""
        return self.memory.start_seconds

    def decide(self, observation: Observation, policy: Policy) -> Decision:
        """Return what is to be done now; it counts once it is `carried_out`."""
        return decide(observation, policy, self.memory)

    def hold(self, decision: Decision, replicas: int, clamp: Clamp | None) -> Decision:
        """Return the decision that ends at `replicas`, as far as can be gone now."""
        return hold(decision, replicas, clamp, self.memory)

    def carried_out(self, decision: Decision, *, before: int, now: float) -> None:
        """Remember a decision that found `before` replicas and has been written."""
        seen = self.memory.start_seconds  # it may have been measured since the decision
        self.memory = replace(decision.memory, start_seconds=seen)
        if decision.replicas > before:
            self._raised = now
        elif decision.replicas < before:
            self._raised = None

    def saw(self, *, ready: int, replicas: int, now: float) -> None:
        """Measure how long the replicas that were added last took to become ready."""
        if self._raised is None or ready < replicas:
            return
        took, self._raised = now - self._raised, None
        if 0 < took <= LONGEST_START_SECONDS:
            self.memory = self.memory.started(took)
