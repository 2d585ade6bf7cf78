"""Where a search along a time starts: past what earlier searches have emptied.

What is due is taken from the head of an index by time, and while an old snapshot is held open
nothing taken is vacuumed: each search would step over all of it, 1,000,000 dead entries in 100 ms.
So a search starts a minute before the last one that took all there was. What commits later than
that is found by a search from the very start: always where that is cheap, else for 1/20 of the
time.
"""

from datetime import datetime, timedelta
from typing import Final

from tidemill.store.budget import Budget

TRAIL: Final = timedelta(seconds=60)
"""How far a search starts before the last complete one: what other sessions commit late."""

SHARE: Final = 0.05
"""Most of the time that may go into searches from the start."""


class Floor:
    """The memory of one search. `began`, `now`: monotonic seconds; `at`: Postgres's time."""

    def __init__(self) -> None:
        """Know nothing: the first search begins at the start."""
        self._at: datetime | None = None
        self._whole = Budget(SHARE)

    def start(self, now: float) -> datetime | None:
        """Return the time from which on to search now; None = from the very start."""
        self._whole.decide(now)
        return None if self._whole.due else self._at

    def learn(self, at: datetime, began: float, now: float, *, complete: bool) -> None:
        """Remember a search, made `at` this time of Postgres; `complete`: it left nothing due."""
        if self._whole.due:
            self._whole.spend(began, now)
        if complete:
            self._at = at - TRAIL
