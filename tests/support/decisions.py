"""Running the scaling decision over a series of readings."""

from collections.abc import Iterable

from tidemill_operator.decision import Observation, decide
from tidemill_operator.memory import Memory
from tidemill_operator.need import Reading
from tidemill_operator.policy import Policy

NOW = 1_800_000_000.0
TICK = 2.0
FRESH = Memory()


def play(
    readings: Iterable[Reading], policy: Policy, *, replicas: int = 0, memory: Memory = FRESH
) -> list[int]:
    """Return the replicas after each look, one tick apart, each carried out at once."""
    history, now = [], NOW
    for reading in readings:
        decision = decide(Observation(now=now, replicas=replicas, reading=reading), policy, memory)
        replicas, memory, now = decision.replicas, decision.memory, now + TICK
        history.append(replicas)
    return history
