"""Types that may run only so often at once in this process (`@app.task(concurrency=…)`).

A claim does not know types, so it may bring more tasks of one than may run. Those that will start
within moments wait here, beside the tasks that wait for a slot, and take no room from them. The
others go back uncharged, for about as long as those before them will take: a backlog of one type
holds up no other, and comes back no faster than it can be worked off.
"""

import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tidemill.sdk.definition import TaskDefinition
from tidemill_worker.run import Run

HERE_SECONDS = 2.0
"""A task that will start within this time waits here."""
MOST_HERE = 100
OVERDUE_SECONDS = 5.0
"""One that has waited here this long was a wrong guess: it goes back too."""

SHORTEST_SECONDS = 1.0
LONGEST_SECONDS = 60.0
FLUSH_SECONDS = 10.0
"""Within this time of its end here a task set aside is recorded, so its delay begins."""

FIRST_GUESS_SECONDS = 0.1
WEIGHT = 0.2
"""How much the latest run counts in the mean."""

SetAside = Callable[[Run, float], None]


class Lane:
    """One such type: who runs, who waits here, and how long a run takes. Pure but for chance."""

    def __init__(self, limit: int) -> None:
        """Let `limit` run at once."""
        self._limit = limit
        self._mean: float | None = None
        self._booked_until = float("-inf")
        self.back_by = float("-inf")
        """When all that was set aside should be back"""
        self.running: set[Run] = set()
        self.waiting: deque[tuple[Run, float]] = deque()

    @property
    def free(self) -> bool:
        """Whether one more may run."""
        return len(self.running) < self._limit

    def room_here(self, now: float) -> bool:
        """Return whether one more should wait here."""
        ahead = len(self.waiting) + 1
        return ahead <= MOST_HERE and ahead * self._each(now) <= HERE_SECONDS

    def delay(self, now: float) -> float:
        """Return for how long to set one more aside, in seconds, and keep its place.

        Most come back a little early, so that the lane does not run dry.
        """
        each = self._each(now)
        turn = max(self._booked_until, now + (len(self.waiting) + 1) * each)
        self._booked_until = min(turn + each, now + LONGEST_SECONDS)
        most = min(LONGEST_SECONDS, max(2 * SHORTEST_SECONDS, turn - now))
        delay = random.uniform(most / 2, most)
        self.back_by = max(self.back_by, now + delay + FLUSH_SECONDS)
        return delay

    def ended(self, run: Run) -> None:
        """Note that `run` is over."""
        self.running.discard(run)
        if run.started_at is not None:
            seconds = run.seconds()
            before = seconds if self._mean is None else self._mean
            self._mean = before + WEIGHT * (seconds - before)

    def _each(self, now: float) -> float:
        """Return how often, in seconds, a run ends; runs that take longer than any before count."""
        mean = FIRST_GUESS_SECONDS if self._mean is None else self._mean
        so_far = [now - run.started_at for run in self.running if run.started_at is not None]
        if so_far:
            mean = max(mean, sum(so_far) / len(so_far))
        return mean / self._limit


class Lanes:
    """The lanes of all such types. Empty (and false) when there are none."""

    def __init__(
        self, definitions: Mapping[str, TaskDefinition[..., Any]], set_aside: SetAside
    ) -> None:
        """Call `set_aside` with a run to give back, and for how many seconds."""
        self._lanes = {
            name: Lane(each.placing.concurrency)
            for name, each in definitions.items()
            if each.placing.concurrency is not None
        }
        self._set_aside = set_aside

    def __bool__(self) -> bool:
        """Return whether any type has a bound."""
        return bool(self._lanes)

    @property
    def waiting(self) -> int:
        """How many tasks wait for their type's turn."""
        return sum(len(lane.waiting) for lane in self._lanes.values())

    def seconds_aside(self, now: float) -> float:
        """Return in how many seconds all that was set aside should be back."""
        return max((lane.back_by - now for lane in self._lanes.values()), default=0.0)

    def admitted(self, runs: Iterable[Run], now: float) -> list[Run]:
        """Return those that may have a slot; keep or set aside the others."""
        return [run for run in runs if self._admits(run, now)]

    def ended(self, run: Run) -> Run | None:
        """Note that `run` is over, or will not start; return the one whose turn it is now."""
        lane = self._lanes.get(run.task.type)
        if lane is None:
            return None
        lane.ended(run)
        if not (lane.waiting and lane.free):
            return None
        following, _ = lane.waiting.popleft()
        lane.running.add(following)
        return following

    def skip(self, run: Run) -> bool:
        """Forget a run that waits here; return whether it did."""
        lane = self._lanes.get(run.task.type)
        for place in lane.waiting if lane else ():
            if lane is not None and place[0] is run:
                lane.waiting.remove(place)
                return True
        return False

    def cleared(self) -> list[Run]:
        """Return all that wait here, and keep none."""
        runs = [run for lane in self._lanes.values() for run, _ in lane.waiting]
        for lane in self._lanes.values():
            lane.waiting.clear()
        return runs

    def set_aside_overdue(self, now: float) -> None:
        """Set aside what has waited here for too long."""
        for lane in self._lanes.values():
            while lane.waiting and now - lane.waiting[0][1] > OVERDUE_SECONDS:
                run, _ = lane.waiting.popleft()
                self._set_aside(run, lane.delay(now))

    def _admits(self, run: Run, now: float) -> bool:
        lane = self._lanes.get(run.task.type)
        if lane is None:
            return True
        if lane.free and not lane.waiting:
            lane.running.add(run)
            return True
        if lane.room_here(now):
            lane.waiting.append((run, now))
        else:
            self._set_aside(run, lane.delay(now))
        return False
