"""What came of playing a load, in figures: one line a scaler."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import mean
from typing import Any, Self

from tidemill_operator.simulation.play import Played

HEAD = (
    "scaler",
    "wait p50",
    "wait p99",
    "in time",
    "replica-seconds",
    "most replicas",
    "direction changes",
    "stopped busy",
    "run again",
)
"""What the columns of a table are called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Of one scaler: waits of all runs together, everything else as the mean of the runs.

    Seconds and counts. `in_time` = the share of the tasks that waited at most as long as is wished
    for. `stopped` = workers told to go, `stopped_busy` those of them with tasks in hand, and
    `rerun_tasks` the tasks that had to run again, after `rerun_seconds` in vain. `unfinished` =
    most tasks that were left at the end of a run: the scaler left them, or it took too long.
    """

    scaler: str
    runs: int
    tasks: int
    wait_p50_seconds: float
    wait_p99_seconds: float
    wait_max_seconds: float
    in_time: float
    replica_seconds: float
    most_replicas: int
    direction_changes: float
    stopped: float
    stopped_busy: float
    rerun_tasks: float
    rerun_seconds: float
    unfinished: int

    @classmethod
    def of(cls, scaler: str, runs: Sequence[Played], *, slo_seconds: float) -> Self:
        """Return the figures of these runs of one scaler with one load."""
        together = Played.together(runs)
        return cls(
            scaler=scaler,
            runs=len(runs),
            tasks=len(runs[0].tasks),
            wait_p50_seconds=round(together.wait(0.5), 3),
            wait_p99_seconds=round(together.wait(0.99), 3),
            wait_max_seconds=round(together.wait(1.0), 3),
            in_time=round(together.started_within(slo_seconds), 4),
            replica_seconds=round(mean(each.replica_seconds for each in runs), 1),
            most_replicas=max(each.peak for each in runs),
            direction_changes=mean(each.direction_changes for each in runs),
            stopped=mean(each.toll.stopped for each in runs),
            stopped_busy=mean(each.toll.stopped_busy for each in runs),
            rerun_tasks=mean(each.toll.rerun_tasks for each in runs),
            rerun_seconds=round(mean(each.toll.rerun_seconds for each in runs), 1),
            unfinished=max(each.unfinished for each in runs),
        )

    def cells(self) -> tuple[str, ...]:
        """Return what stands under HEAD."""
        return (
            self.scaler,
            f"{self.wait_p50_seconds:.1f} s",
            f"{self.wait_p99_seconds:.1f} s",
            f"{self.in_time:.0%}",
            f"{self.replica_seconds:.0f}",
            f"{self.most_replicas}",
            f"{self.direction_changes:.0f}",
            f"{self.stopped_busy:.0f}",
            f"{self.rerun_tasks:.0f}",
        )

    def as_json(self) -> dict[str, Any]:
        """Return them by name, for programs."""
        return asdict(self)


def markdown(rows: Sequence[tuple[str, Sequence[Figures]]]) -> Iterator[str]:
    """Yield the lines of a table for (load, its figures)."""
    yield f"| load | {' | '.join(HEAD)} |"
    yield f"|---|---|{'--:|' * (len(HEAD) - 1)}"
    for load, figures in rows:
        for each in figures:
            yield f"| {load} | {' | '.join(each.cells())} |"


def text(figures: Sequence[Figures]) -> Iterator[str]:
    """Yield the lines of a table for a terminal."""
    rows = [HEAD, *(each.cells() for each in figures)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(HEAD))]
    for row in rows:
        first, *others = (
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join((first, *others))
