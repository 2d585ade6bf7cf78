"""A queue and its workers in simulated time: events, no clock. The same seed is the same course.

Time goes from event to event: a task comes, a worker is ready, a task ends, a worker that was told
to go has had its time. A free slot takes the task that waits longest; where several workers have
one, chance says who, as it does among workers that all wait for a notification.
"""

import heapq
import math
import random
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from tidemill_operator.need import Reading
from tidemill_operator.simulation.loads import Arrival
from tidemill_operator.simulation.readings import Measured
from tidemill_operator.simulation.workers import Run, Worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where workers run, in seconds.

    `start_seconds` from the wish for a worker to its being ready; `slots` tasks at once; a worker
    that is told to go while it runs tasks gets `drain_seconds`, then they are given back.
    """

    start_seconds: float = 4.0
    slots: int = 1
    drain_seconds: float = 30.0


@dataclass(slots=True)
class Toll:
    """What scaling cost: workers told to go, those of them with tasks in hand, work done twice."""

    stopped: int = 0
    stopped_busy: int = 0
    rerun_tasks: int = 0
    rerun_seconds: float = 0.0


class Model:
    """The state of the world at `now`."""

    def __init__(self, arrivals: Iterable[Arrival], place: Place, *, seed: int = 1) -> None:
        """Start empty at 0."""
        self.now = 0.0
        self.tasks: Sequence[Arrival] = sorted(arrivals, key=lambda each: each.at)
        self.started: list[float | None] = [None] * len(self.tasks)
        """When each task was taken, for the last time where it had to run again."""
        self.replica_seconds = 0.0
        self.toll = Toll()
        self.workers = list[Worker]()
        """Those that are wanted, in the order in which they were asked for."""
        self.place = place
        self._chance = random.Random(seed)
        self._measured = Measured()
        self._leaving = list[Worker]()
        self._waiting = deque[int]()
        self._coming = 0
        self._running = 0
        self._numbers = 0
        self._events = list[tuple[float, int, str, Worker, Run | None]]()

    @property
    def replicas(self) -> int:
        """Workers that are wanted, ready or not."""
        return len(self.workers)

    @property
    def ready(self) -> int:
        """Workers that are ready."""
        return sum(each.ready for each in self.workers)

    @property
    def over(self) -> bool:
        """Whether nothing is left to come, to wait or to run."""
        return self.unfinished == 0

    @property
    def outstanding(self) -> int:
        """Tasks that wait or run."""
        return len(self._waiting) + self._running

    @property
    def unfinished(self) -> int:
        """Tasks that are still to end."""
        return len(self.tasks) - self._coming + self.outstanding

    @property
    def next_at(self) -> float:
        """When the next event is; infinity = never."""
        coming = self.tasks[self._coming].at if self._coming < len(self.tasks) else math.inf
        return min(coming, self._events[0][0] if self._events else math.inf)

    def reading(self) -> Reading:
        """Return what the operator would read."""
        oldest = self.tasks[self._waiting[0]].at if self._waiting else self.now
        return Reading(
            queued=len(self._waiting),
            running=self._running,
            oldest_seconds=self.now - oldest,
            arrival_per_second=self._measured.arrival_per_second(self.now),
            mean_run_seconds=self._measured.mean_run_seconds(self.now),
        )

    def advance(self, to: float) -> bool:
        """Go on to that time, at most `next_at`; return whether an empty queue got a task."""
        self.replica_seconds += (to - self.now) * (len(self.workers) + len(self._leaving))
        self.now = to
        was_empty = not self._waiting
        while self._coming < len(self.tasks) and self.tasks[self._coming].at <= to:
            self._waiting.append(self._coming)
            self._measured.arrived(to)
            self._coming += 1
        woken = was_empty and bool(self._waiting)
        while self._events and self._events[0][0] <= to:
            _, _, kind, worker, run = heapq.heappop(self._events)
            self._happen(kind, worker, run)
        self._claim()
        return woken

    def _happen(self, kind: str, worker: Worker, run: Run | None) -> None:
        if kind == "ready":
            worker.ready = True
        elif kind == "gone":
            self._give_back(worker)
        elif run in worker.runs:  # else it was given back meanwhile
            worker.runs.remove(run)
            self._running -= 1
            self._measured.ended(self.now, self.tasks[run.task].run_seconds)
            if not worker.runs:
                self._leave(worker)

    def _leave(self, worker: Worker) -> None:
        if worker in self._leaving:
            self._leaving.remove(worker)

    def _give_back(self, worker: Worker) -> None:
        for run in worker.runs:
            self.toll.rerun_tasks += 1
            self.toll.rerun_seconds += self.now - run.began
            self._waiting.appendleft(run.task)
            self.started[run.task] = None
            self._measured.arrived(self.now)
            self._running -= 1
        worker.runs.clear()
        self._leave(worker)

    def _claim(self) -> None:
        if not self._waiting:
            return
        free = [
            each
            for each in self.workers
            if each.ready and not each.marked and len(each.runs) < self.place.slots
        ]
        while self._waiting and free:
            at = self._chance.randrange(len(free))
            self._take(free[at])
            if len(free[at].runs) == self.place.slots:
                del free[at]

    def _take(self, worker: Worker) -> None:
        task = self._waiting.popleft()
        self.started[task] = self.now
        run = Run(task, self.now)
        worker.runs.append(run)
        self._running += 1
        self._schedule(self.tasks[task].run_seconds, "ended", worker, run)

    def _schedule(self, seconds: float, kind: str, worker: Worker, run: Run | None = None) -> None:
        self._numbers += 1
        heapq.heappush(self._events, (self.now + seconds, self._numbers, kind, worker, run))

    def add(self, workers: int) -> None:
        """Ask for so many more."""
        for _ in range(workers):
            self._numbers += 1
            worker = Worker(self._numbers, self.now + self.place.start_seconds)
            self.workers.append(worker)
            self._schedule(self.place.start_seconds, "ready", worker)

    def remove(self, going: Collection[Worker], *, patience: float | None = None) -> None:
        """Tell these to go: what they run may go on for `patience` s (the time to drain)."""
        seconds = self.place.drain_seconds if patience is None else patience
        for each in going:
            self.workers.remove(each)
            self.toll.stopped += 1
            each.draining = True
            if each.runs:
                self.toll.stopped_busy += 1
                self._leaving.append(each)
                self._schedule(seconds, "gone", each)

    def chosen_by_kubernetes(self, count: int) -> list[Worker]:
        """Return whom a ReplicaSet would take away: the unready, then the newest.

        Ages are compared by the power of two of their nanoseconds, and chance decides among equals
        (LogarithmicScaleDown, on since Kubernetes 1.22).
        """

        def order(worker: Worker) -> tuple[bool, int, float]:
            nanoseconds = max(0.0, self.now - worker.ready_at) * 1e9
            return worker.ready, math.frexp(nanoseconds)[1], self._chance.random()

        return sorted(self.workers, key=order)[:count] if count > 0 else []
