"""A load through a scaler, and what came of it in figures."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from tidemill_operator.simulation.loads import Arrival
from tidemill_operator.simulation.model import Model, Place, Toll
from tidemill_operator.simulation.scalers import Scaler


@dataclass(frozen=True, slots=True)
class Change:
    """At `at` seconds the replicas became `replicas`, for this reason."""

    at: float
    replicas: int
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What came of it. `changes` begins with the replicas at the start.

    `tasks` = (came, was taken for the run that it ended in) of each, in seconds since the start;
    one that never was counts as taken at the end. `unfinished` tasks were left when the time was
    over.
    """

    changes: Sequence[Change]
    tasks: Sequence[tuple[float, float]]
    replica_seconds: float
    toll: Toll
    emptied_at: float
    ended_at: float
    unfinished: int = 0

    @classmethod
    def together(cls, runs: "Sequence[Played]") -> "Played":
        """Return the first run with the tasks of all."""
        return replace(runs[0], tasks=[task for each in runs for task in each.tasks])

    @property
    def waits(self) -> list[float]:
        """Seconds that each task waited, the shortest first."""
        return sorted(took - came for came, took in self.tasks)

    @property
    def history(self) -> list[tuple[float, int]]:
        """(seconds, replicas) at the start and at each change."""
        return [(each.at, each.replicas) for each in self.changes]

    @property
    def direction_changes(self) -> int:
        """How often a rise followed a fall or a fall a rise."""
        steps = [after > before for (_, before), (_, after) in pairwise(self.history)]
        return sum(one != other for one, other in pairwise(steps))

    @property
    def peak(self) -> int:
        """Most replicas."""
        return max(each.replicas for each in self.changes)

    def wait(self, share: float) -> float:
        """Return the seconds that this share of the tasks did not wait longer than."""
        ordered = self.waits
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0

    def started_within(self, seconds: float) -> float:
        """Return the share of the tasks that waited at most so long."""
        met = sum(each <= seconds for each in self.waits)
        return met / len(self.tasks) if self.tasks else 1.0

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
    most_seconds: float = math.inf,
    seed: int = 1,
) -> Played:
    """Play until `after_seconds` after the last task, starting with so many workers.

    A scaler that leaves tasks waiting ends at `most_seconds`.
    """
    model = Model(arrivals, place, seed=seed)
    model.add(replicas)
    changes = [Change(0.0, replicas)]
    emptied_at = 0.0 if model.over else math.inf
    while (now := min(model.next_at, scaler.due)) <= min(emptied_at + after_seconds, most_seconds):
        if model.advance(now):
            scaler.wake(now)
        if now >= scaler.due:
            reason = scaler.look(model)
            if model.replicas != changes[-1].replicas:
                changes.append(Change(now, model.replicas, reason))
        if model.over and emptied_at == math.inf:
            emptied_at = now
    return Played(
        changes=changes,
        tasks=[
            (task.at, max(task.at, model.now) if took is None else took)
            for task, took in zip(model.tasks, model.started, strict=True)
        ],
        replica_seconds=model.replica_seconds,
        toll=model.toll,
        emptied_at=emptied_at,
        ended_at=model.now,
        unfinished=model.unfinished,
    )
