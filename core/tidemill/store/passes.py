"""Where a pass over the ends of tasks stands and where it looks next: pure decisions.

A pass belongs to one keep time. It goes through `attempts` day by day, in the order of time: rows
are appended, so a day's pages are in that order too, and no index is needed to find what is due.
Keep times of a day or more are counted in whole days. Shorter ones follow the day that is not over
yet; its pages may be filled again behind the pass: that day is gone through once more when it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

PAGES = 128
"""Pages of a day that are looked at together: some thousands of ends."""

DAY_SECONDS = 86400.0
SLACK_SECONDS = 3600.0
"""An end may be committed this long after its time: a day is over only then."""

BEGINNING = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Spot:
    """The day, the first page to look at, and whether the day is over for this pass."""

    day: date = BEGINNING
    page: int = 0
    final: bool = False


def look(mark: Spot, keep_seconds: float, days: Mapping[date, int], now: datetime) -> Spot | None:
    """Return where to look now, or None when nothing can be due yet.

    `days` are the days of `attempts` that exist with their pages.
    """
    day = min((each for each in days if each >= mark.day), default=None)
    if day is None:
        return None
    spot = mark if day == mark.day else Spot(day)
    starts = start_of(day)
    rests = timedelta(seconds=max(keep_seconds, SLACK_SECONDS))
    over = starts + timedelta(days=1) + rests <= now
    if keep_seconds >= DAY_SECONDS:
        return replace(spot, final=True) if over else None
    if over:
        return spot if spot.final else Spot(day, final=True)
    return spot if starts + timedelta(seconds=keep_seconds) <= now else None


def after(spot: Spot, pages: int, *, left_over: bool) -> Spot:
    """Return where the pass stands after a look at `spot` of a day of so many pages."""
    if left_over:
        return spot
    if spot.page + PAGES < pages:
        return replace(spot, page=spot.page + PAGES)
    return Spot(spot.day + timedelta(days=1)) if spot.final else spot


def start_of(day: date) -> datetime:
    """Return the moment that a day begins: days are UTC's."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
