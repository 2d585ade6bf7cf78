"""A load through a scaler, and what came of it in figures."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tidemill_operator.simulation.loads import Arrival
from tidemill_operator.simulation.model import Model, Place
from tidemill_operator.simulation.scalers import Scaler


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What came of it: `history` = (seconds, replicas) at the start and at each change."""

    history: Sequence[tuple[float, int]]
    waits: Sequence[float]
    replica_seconds: float
    busy_stopped: int
    emptied_at: float

    @property
    def direction_changes(self) -> int:
        """How often a rise followed a fall or a fall a rise."""
        steps = [after > before for (_, before), (_, after) in pairwise(self.history)]
        return sum(one != other for one, other in pairwise(steps))

    @property
    def peak(self) -> int:
        """Most replicas."""
        return max(replicas for _, replicas in self.history)

    def wait(self, share: float) -> float:
        """Return the seconds that this share of the tasks did not wait longer than."""
        ordered = sorted(self.waits)
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0

    def started_within(self, seconds: float) -> float:
        """Return the share of the tasks that waited at most so long."""
        met = sum(each <= seconds for each in self.waits)
        return met / len(self.waits) if self.waits else 1.0

    def reached(self, replicas: int) -> float:
        """Return when there were that many for the first time; infinity = never."""
        return next((at for at, each in self.history if each >= replicas), math.inf)


def play(
    arrivals: Iterable[Arrival],
    scaler: Scaler,
    *,
    place: Place,
    replicas: int = 0,
    after_seconds: float = 900.0,
) -> Played:
    """Play until `after_seconds` after the last task, starting with so many ready workers."""
    model = Model(arrivals, place)
    model.scale(replicas, idle_first=True)
    history = [(0.0, replicas)]
    emptied_at: float | None = None
    while emptied_at is None or model.now < emptied_at + after_seconds:
        scaler.act(model, woken=model.advance())
        if model.replicas != history[-1][1]:
            history.append((model.now, model.replicas))
        if emptied_at is None and model.over:
            emptied_at = model.now
    return Played(
        history=history,
        waits=model.waits,
        replica_seconds=model.replica_seconds,
        busy_stopped=model.busy_stopped,
        emptied_at=emptied_at,
    )
