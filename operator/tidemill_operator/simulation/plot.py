"""Replicas and waiting tasks over time, one row a scaler. Needs `tidemill[plot]` (matplotlib)."""

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from tidemill_operator.simulation.play import Played

REPLICAS, WAITING = "#1f6f8b", "#d1495b"
_LIBRARY: Any = mpl  # its types are partly unknown
WIDTH, HEIGHT = 9.0, 1.7
"""Inches of the page, and of each row."""

MOST_POINTS = 300
"""A line has no more: of the tasks that wait, the most within each part of the time is drawn."""


def draw(rows: Sequence[tuple[str, Played]], to: Path, *, title: str) -> None:
    """Write the picture; the name's end (.png, .svg, .pdf) says which kind.

    The same run makes the same bytes with the same matplotlib.
    """
    figure: Any = Figure(figsize=(WIDTH, 0.6 + HEIGHT * len(rows)), layout="constrained")
    figure.suptitle(title)
    many = figure.subplots(len(rows), 1, sharex=True, sharey=True, squeeze=False)
    for (name, found), axes in zip(rows, many[:, 0], strict=True):
        at, replicas = _steps(found)
        axes.step(at, replicas, where="post", color=REPLICAS, label="replicas")
        axes.set_ylabel(f"{name}\nreplicas")
        axes.set_ylim(bottom=0)
        beside = axes.twinx()
        moments, waiting = _thinned(*_waiting(found))
        beside.stairs(waiting[:-1], moments, fill=True, color=WAITING, alpha=0.3, linewidth=0)
        beside.set_ylim(0, max(_most(each) for _, each in rows) * 1.05)
        beside.set_ylabel("waiting", color=WAITING)
    many[-1, 0].set_xlabel("seconds")
    with _LIBRARY.rc_context({"svg.hashsalt": "tidemill", "svg.fonttype": "none"}):
        figure.savefig(to, metadata={"Date": None} if to.suffix == ".svg" else None)


def _steps(found: Played) -> tuple[list[float], list[int]]:
    at = [each.at for each in found.changes] + [found.ended_at]
    replicas = [each.replicas for each in found.changes]
    return at, [*replicas, replicas[-1]]


def _waiting(found: Played) -> tuple[list[float], list[int]]:
    """Return how many wait from each moment on."""
    moves = sorted([(came, 1) for came, _ in found.tasks] + [(took, -1) for _, took in found.tasks])
    return [at for at, _ in moves], list(accumulate(more for _, more in moves))


def _thinned(moments: list[float], waiting: list[int]) -> tuple[list[float], list[int]]:
    """Return the most that waited within each of MOST_POINTS equal parts of the time."""
    if len(moments) <= MOST_POINTS:
        return moments, waiting
    length = (moments[-1] - moments[0]) / MOST_POINTS or 1.0
    highest = list[int]()
    at, now = 0, 0
    for part in range(1, MOST_POINTS + 1):
        most = now
        while at < len(moments) and (
            part == MOST_POINTS or moments[at] < moments[0] + part * length
        ):
            now = waiting[at]
            most = max(most, now)
            at += 1
        highest.append(most)
    return [moments[0] + part * length for part in range(MOST_POINTS)] + [moments[-1]], [
        *highest,
        now,
    ]


def _most(found: Played) -> int:
    return max(_waiting(found)[1], default=1) or 1
