"""What an operator that stands by keeps of what it sees, for when its turn comes.

Whoever acted until then may have died before it could act on the last of it. What is older was
acted on, and nobody asks for it again.
"""

import time
from dataclasses import dataclass, field

from tidemill_operator.deaths import Death
from tidemill_operator.view import Json, View

KEPT_SECONDS = 30.0
"""Twice as long as a Lease lasts that nobody renews."""


@dataclass(slots=True)
class Standby:
    """Deaths of pods and vanished TaskQueues that were seen lately, with the times."""

    _deaths: list[tuple[float, Death]] = field(default_factory=list[tuple[float, Death]])
    _gone: list[tuple[float, Json]] = field(default_factory=list[tuple[float, Json]])

    def keep(self, view: View) -> None:
        """Take from `view` what there is to act on, and let go of what is old."""
        now = time.monotonic()
        oldest = now - KEPT_SECONDS
        deaths = [*self._deaths, *((now, each) for each in view.take_deaths())]
        gone = [*self._gone, *((now, each) for each in view.take_gone())]
        self._deaths = [(at, each) for at, each in deaths if at > oldest]
        self._gone = [(at, each) for at, each in gone if at > oldest]

    def give_back(self, view: View) -> None:
        """Return all that was kept to `view`."""
        view.put_back_deaths([each for _, each in self._deaths])
        for _, each in self._gone:
            view.put_back_gone(each)
        self._deaths, self._gone = [], []
