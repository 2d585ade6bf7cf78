"""A queue and its workers in simulated time. Pure: no clock, no chance.

Time passes in steps. In each, running tasks end, started workers become ready and take what waits,
the oldest first. A worker that is told to go takes nothing more, finishes what it runs and is gone.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tidemill_operator.need import Reading
from tidemill_operator.simulation.loads import Arrival

STEP_SECONDS = 0.25
RATE_SECONDS = 60.0
RUN_TIME_SECONDS = 300.0
"""How long arrivals and run times are measured over, as the operator's reading does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where workers run: seconds from the wish for one to its being ready, and tasks at once."""

    start_seconds: float = 4.0
    slots: int = 1


@dataclass(slots=True)
class Worker:
    """A worker: when it is (or was) ready, and when each of its tasks ends."""

    ready_at: float
    ends: list[float] = field(default_factory=list[float])


class Model:
    """The state of the world at `now`."""

    def __init__(self, arrivals: Iterable[Arrival], place: Place) -> None:
        """Start empty at 0."""
        self.now = 0.0
        self.waits = list[float]()
        self.replica_seconds = 0.0
        self.busy_stopped = 0
        self._place = place
        self._coming = deque(sorted(arrivals, key=lambda each: each.at))
        self._waiting = deque[Arrival]()
        self._workers = list[Worker]()
        self._leaving = list[Worker]()
        self._arrived = deque[float]()
        self._ended = deque[tuple[float, float]]()

    @property
    def replicas(self) -> int:
        """Workers that are wanted, ready or not."""
        return len(self._workers)

    @property
    def ready(self) -> int:
        """Workers that take tasks."""
        return sum(each.ready_at <= self.now for each in self._workers)

    @property
    def busy(self) -> int:
        """Workers that run a task."""
        return sum(bool(each.ends) for each in self._workers)

    @property
    def over(self) -> bool:
        """Whether nothing is left to come, to wait or to run."""
        return not (self._coming or self._waiting or self._running)

    @property
    def _running(self) -> int:
        return sum(len(each.ends) for each in (*self._workers, *self._leaving))

    def reading(self) -> Reading:
        """Return what the operator would read."""
        run_times = [seconds for end, seconds in self._ended if end <= self.now]
        return Reading(
            queued=len(self._waiting),
            running=self._running,
            oldest_seconds=self.now - self._waiting[0].at if self._waiting else 0.0,
            arrival_per_second=len(self._arrived) / RATE_SECONDS,
            mean_run_seconds=sum(run_times) / len(run_times) if run_times else None,
        )

    def advance(self) -> bool:
        """Let one step pass; return whether a queue that was empty got a task."""
        self.now += STEP_SECONDS
        self.replica_seconds += STEP_SECONDS * (len(self._workers) + len(self._leaving))
        was_empty = not self._waiting
        while self._coming and self._coming[0].at <= self.now:
            self._waiting.append(self._coming.popleft())
            self._arrived.append(self.now)
        woken = was_empty and bool(self._waiting)
        for each in (*self._workers, *self._leaving):
            each.ends = [end for end in each.ends if end > self.now]
        self._leaving = [each for each in self._leaving if each.ends]
        self._take()
        self._forget()
        return woken

    def _take(self) -> None:
        for each in self._workers:
            while self._waiting and each.ready_at <= self.now and self._has_room(each):
                task = self._waiting.popleft()
                each.ends.append(self.now + task.run_seconds)
                self.waits.append(max(0.0, self.now - task.at))
                self._ended.append((self.now + task.run_seconds, task.run_seconds))

    def _has_room(self, worker: Worker) -> bool:
        return len(worker.ends) < self._place.slots

    def _forget(self) -> None:
        while self._arrived and self._arrived[0] <= self.now - RATE_SECONDS:
            self._arrived.popleft()
        while self._ended and self._ended[0][0] <= self.now - RUN_TIME_SECONDS:
            self._ended.popleft()

    def scale(self, replicas: int, *, idle_first: bool) -> None:
        """Have so many workers. Without `idle_first` those of longest standing stay, busy or not.

        Kubernetes takes the pods that are not ready before all others, and then the newest.
        """
        while len(self._workers) < replicas:
            self._workers.append(Worker(self.now + self._place.start_seconds))
        for each in self._surplus(len(self._workers) - replicas, idle_first=idle_first):
            self._workers.remove(each)
            self._leaving.append(each)
            self.busy_stopped += bool(each.ends)

    def _surplus(self, count: int, *, idle_first: bool) -> Sequence[Worker]:
        if count <= 0:
            return ()
        ordered = sorted(
            self._workers, key=lambda each: (idle_first and bool(each.ends), -each.ready_at)
        )
        return ordered[:count]
