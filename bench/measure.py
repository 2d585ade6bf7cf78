"""Samples and what is made of them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(slots=True)
class Sample:
    """One run of one case: `tasks` in `seconds`, and what was used for it.

    Processor seconds are those of client and server processes, None where they are not known.
    """

    tasks: int
    seconds: float = 0.0
    wal_bytes: int = 0
    statements: int = 0
    client_seconds: float | None = None
    server_seconds: float | None = None

    @property
    def tasks_per_second(self) -> float:
        """Return the rate."""
        return self.tasks / self.seconds


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over the rounds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Return the spread of at least one value."""
        return cls(median(values), min(values), max(values))

    def to_json(self) -> dict[str, float]:
        """Return it as a JSON object."""
        return {"median": self.median, "min": self.least, "max": self.most}


@dataclass(frozen=True, slots=True)
class Line:
    """What is reported of one case. `ratio` is None for the limit itself."""

    name: str
    meaning: str
    tasks_per_second: Spread
    wal_bytes_per_task: float
    statements_per_task: float
    client_microseconds: float | None
    server_microseconds: float | None
    ratio: Spread | None

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {
            "name": self.name,
            "meaning": self.meaning,
            "tasks_per_second": self.tasks_per_second.to_json(),
            "wal_bytes_per_task": self.wal_bytes_per_task,
            "statements_per_task": self.statements_per_task,
            "client_cpu_microseconds_per_task": self.client_microseconds,
            "server_cpu_microseconds_per_task": self.server_microseconds,
            "ratio_to_limit": self.ratio and self.ratio.to_json(),
        }


def line(
    name: str, meaning: str, samples: Sequence[Sample], limits: Sequence[Sample] | None
) -> Line:
    """Return the line of a case from its samples, one a round, and the limit's of those rounds.

    The ratio is taken round by round: what slows the machine for a while slows both.
    """
    return Line(
        name=name,
        meaning=meaning,
        tasks_per_second=Spread.of([each.tasks_per_second for each in samples]),
        wal_bytes_per_task=median(each.wal_bytes / each.tasks for each in samples),
        statements_per_task=median(each.statements / each.tasks for each in samples),
        client_microseconds=_microseconds([(s.client_seconds, s.tasks) for s in samples]),
        server_microseconds=_microseconds([(s.server_seconds, s.tasks) for s in samples]),
        ratio=None if limits is None else Spread.of(ratios(samples, limits)),
    )


def ratios(samples: Sequence[Sample], limits: Sequence[Sample]) -> list[float]:
    """Return each round's rate as a share of the limit's."""
    return [
        mine.tasks_per_second / limit.tasks_per_second
        for mine, limit in zip(samples, limits, strict=True)
    ]


def _microseconds(used: Sequence[tuple[float | None, int]]) -> float | None:
    """Return the median of processor time a task, None when it was not measured."""
    known = [seconds * 1e6 / tasks for seconds, tasks in used if seconds is not None]
    return median(known) if known else None


def best(samples: Sequence[Sequence[Sample]]) -> list[Sample]:
    """Return the series with the highest median rate: the limit is the best of its settings."""
    return list(max(samples, key=lambda each: median(one.tasks_per_second for one in each)))
