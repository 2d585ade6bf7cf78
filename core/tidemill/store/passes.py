"""Where a pass over the ends of tasks stands and where it looks next: pure decisions.

A pass belongs to one keep time. It goes through `attempts` day by day, in the order of time: rows
are appended, so a day's pages are in that order too, and no index is needed to find what is due.
Keep times of a day or more are counted in whole days. Shorter ones follow the day that is not over
yet; its pages may be filled again behind the pass: that day is gone through once more when it is.
After midnight a day waits an hour for late commits; meanwhile its pass looks at the next one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

PAGES = 128
"""Pages of a day that are looked at together: some thousands of ends."""

DAY_SECONDS = 86400.0
SLACK_SECONDS = 3600.0
"""An end may be committed this long after its time: a day is over only then."""

BEYOND = 1 << 40
"""Pages from here on are those of the next day."""

BEGINNING = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Spot:
    """The day, the first page to look at, and whether the day is over for this pass."""

    day: date = BEGINNING
    page: int = 0
    final: bool = False

    @property
    def place(self) -> tuple[date, int]:
        """The day and the page to look at."""
        if self.page < BEYOND:
            return self.day, self.page
        return self.day + timedelta(days=1), self.page - BEYOND


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
    followed, _ = spot.place
    due = start_of(followed) + timedelta(seconds=keep_seconds) <= now
    return spot if due and followed in days else None


def after(spot: Spot, keep_seconds: float, pages: int, now: datetime, *, left_over: bool) -> Spot:
    """Return where the pass stands after a look at `spot`, whose day has so many pages."""
    if left_over:
        return spot
    day, page = spot.place
    if page + PAGES < pages:
        return replace(spot, page=spot.page + PAGES)
    if spot.final:
        return Spot(day + timedelta(days=1))
    due = start_of(spot.day + timedelta(days=1)) + timedelta(seconds=keep_seconds) <= now
    return replace(spot, page=BEYOND) if due and spot.page < BEYOND else spot


def start_of(day: date) -> datetime:
    """Return the moment that a day begins: days are UTC's."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
