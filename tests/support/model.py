"""A small model of the queue: what each act does to each task, said without SQL.

It is told which tasks a claim or a promotion took (their choice is not the model's to predict, only
to judge) and says everything else itself.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from tidemill.acts import Verdict
from tidemill.models import Lease
from tidemill.states import Outcome

WAITING = ("queued", "scheduled")
FINAL = ("succeeded", "failed", "cancelled")
MAX_CRASHES = 2


@dataclass
class Modelled:
    """A task. `status` is where it is; `was_ready` that it has a place to go back to."""

    type: str
    queue: str
    status: str
    priority: int
    max_retries: int
    key: str | None = None
    was_ready: bool = False
    returned: bool = False
    retries: int = 0
    crashes: int = 0
    token: int | None = None
    worker: int | None = None
    cancel_requested: bool = False

    def row(self) -> tuple[int, int, int, bool | None]:
        """Return what a live task's row says: priority, retries, crashes, whether it returned."""
        returned = self.returned if self.status == "queued" else None
        return self.priority, self.retries, self.crashes, returned

    def to(self, status: str, *, returned: bool = False) -> None:
        """Go somewhere else, out of whatever hands it was in."""
        self.status, self.returned = status, returned
        self.was_ready |= status == "queued"
        self.token = self.worker = None
        self.cancel_requested = False


@dataclass
class Queue:
    """A queue's settings. `tokens`: at most so many more may start, None = no rate."""

    paused: bool = False
    max_running: int | None = None
    tokens: int | None = None


@dataclass
class Model:
    """All tasks that exist, keys that are taken, queues and types."""

    tasks: dict[UUID, Modelled] = field(default_factory=dict[UUID, Modelled])
    keys: dict[tuple[str, str], UUID] = field(default_factory=dict[tuple[str, str], UUID])
    queues: dict[str, Queue] = field(default_factory=dict[str, Queue])
    paused_types: set[str] = field(default_factory=set[str])

    def queue(self, name: str) -> Queue:
        """Return the queue; it appears on first use."""
        return self.queues.setdefault(name, Queue())

    def live(self) -> list[UUID]:
        """Return the tasks that have not ended."""
        return [each for each, task in self.tasks.items() if task.status not in FINAL]

    def statuses(self) -> dict[UUID, str]:
        """Return where each task is."""
        return {task_id: task.status for task_id, task in self.tasks.items()}

    def held_by(self, worker: int) -> dict[UUID, int]:
        """Return the tokens of the tasks that a worker really holds."""
        return {
            task_id: task.token
            for task_id, task in self.tasks.items()
            if task.worker == worker and task.token is not None
        }

    def is_current(self, lease: Lease) -> bool:
        """Whether the lease is still its holder's."""
        task = self.tasks.get(lease.task_id)
        return task is not None and task.token == lease.token

    # acts of producers and workers

    def enqueue(self, task: Modelled, task_id: UUID, *, created: bool) -> None:
        """One task of a batch was answered."""
        self.queue(task.queue)
        known = self.keys.get((task.queue, task.key)) if task.key else None
        assert created == (known is None)
        if known is not None:
            assert task_id == known
            return
        assert task_id not in self.tasks
        self.tasks[task_id] = task
        if task.key:
            self.keys[task.queue, task.key] = task_id

    def claim(self, worker: int, lease: Lease) -> None:
        """A task was claimed: it must have been claimable, and nobody's."""
        task = self.tasks[lease.task_id]
        queue = self.queue(task.queue)
        assert task.status == "queued"
        assert not queue.paused
        task.status, task.token, task.worker = "running", lease.token, worker
        if queue.tokens is not None:
            queue.tokens -= 1
            assert queue.tokens >= 0
        if queue.max_running is not None:
            assert self._running(task.queue) <= queue.max_running

    def park(self, task_id: UUID) -> None:
        """A task that was claimed was set aside: its type must be paused."""
        task = self.tasks[task_id]
        assert task.type in self.paused_types
        task.to("scheduled")

    def finish(self, lease: Lease, outcome: Outcome) -> bool:
        """Return whether this end counts, and let it."""
        if not self.is_current(lease):
            return False
        task = self.tasks[lease.task_id]
        back = outcome in (Outcome.RETRY, Outcome.SNOOZED, Outcome.RELEASED)
        if back and task.cancel_requested:
            self._end(lease.task_id, "cancelled")
        elif outcome is Outcome.RELEASED:
            task.to("queued", returned=True)
        elif back:
            task.retries += outcome is Outcome.RETRY
            task.to("scheduled")
        else:
            self._end(lease.task_id, outcome.value)
        return True

    def release_unknown(self, worker: int, keep: Iterable[Lease]) -> set[UUID]:
        """Return what goes back because its worker does not know of it."""
        tokens = {lease.token for lease in keep}
        lost = {each for each, token in self.held_by(worker).items() if token not in tokens}
        for task_id in lost:
            token = self.tasks[task_id].token
            assert token is not None
            self.finish(Lease(task_id, token), Outcome.RELEASED)
        return lost

    # acts of maintenance

    def recover(self, expired: Iterable[UUID]) -> Counter[str]:
        """These leases ran out; return what became of the tasks."""
        became: Counter[str] = Counter()
        for task_id in expired:
            task = self.tasks[task_id]
            if task.cancel_requested:
                self._end(task_id, "cancelled")
            elif task.retries >= task.max_retries or task.crashes + 1 >= MAX_CRASHES:
                self._end(task_id, "failed")
            else:
                task.retries, task.crashes = task.retries + 1, task.crashes + 1
                task.to("queued", returned=True)
            became[task.status.replace("queued", "lease_expired")] += 1
        return became

    def promote(self, task_id: UUID) -> None:
        """A task was due: a retry goes to the place it had, a new one to the end."""
        task = self.tasks[task_id]
        assert task.status == "scheduled"
        task.to("queued", returned=task.was_ready)

    # acts of people

    def cancel(self, task_id: UUID) -> Verdict:
        """Return what comes of a cancel."""
        if (task := self.tasks.get(task_id)) is None:
            return Verdict.MISSING
        if task.status == "running":
            task.cancel_requested = True
            return Verdict.REQUESTED
        if task.status in FINAL:
            return Verdict.REFUSED
        self._end(task_id, "cancelled")
        return Verdict.DONE

    def retry(self, task_id: UUID) -> Verdict:
        """Return what comes of a retry or replay."""
        if (task := self.tasks.get(task_id)) is None:
            return Verdict.MISSING
        if task.status == "scheduled":
            self.promote(task_id)
            return Verdict.DONE
        if task.status != "failed":
            return Verdict.REFUSED
        if task.key and self.keys.setdefault((task.queue, task.key), task_id) != task_id:
            return Verdict.KEY_TAKEN
        task.retries = task.crashes = 0
        task.to("queued")
        return Verdict.DONE

    def delete(self, task_id: UUID) -> Verdict:
        """Return what comes of a deletion."""
        if (task := self.tasks.get(task_id)) is None:
            return Verdict.MISSING
        if task.status == "running":
            return Verdict.REFUSED
        self._free_key(task_id)
        del self.tasks[task_id]
        return Verdict.DONE

    def reprioritise(self, task_id: UUID, priority: int) -> Verdict:
        """Return what comes of another priority."""
        if (task := self.tasks.get(task_id)) is None:
            return Verdict.MISSING
        if task.status not in WAITING:
            return Verdict.REFUSED
        task.priority = priority
        return Verdict.DONE

    def move(self, task_id: UUID, queue: str) -> Verdict:
        """Return what comes of another queue."""
        self.queue(queue)
        if (task := self.tasks.get(task_id)) is None:
            return Verdict.MISSING
        if task.status not in WAITING:
            return Verdict.REFUSED
        mine = task.key and self.keys.get((task.queue, task.key)) == task_id
        if mine and task.queue != queue:
            assert task.key
            if self.keys.setdefault((queue, task.key), task_id) != task_id:
                return Verdict.KEY_TAKEN
            del self.keys[task.queue, task.key]
        task.queue = queue
        return Verdict.DONE

    # judging a claim

    def next_of(self, queue: str, limit: int) -> Sequence[tuple[int, bool]]:
        """Return (priority, returned) of what a claim of this queue must take, in its order."""
        if self.queue(queue).paused:
            return []
        ready = [
            (task.priority, task.returned)
            for task in self.tasks.values()
            if task.queue == queue and task.status == "queued"
        ]
        return sorted(ready, reverse=True)[:limit]

    def _running(self, queue: str) -> int:
        return sum(t.status == "running" and t.queue == queue for t in self.tasks.values())

    def _end(self, task_id: UUID, status: str) -> None:
        self.tasks[task_id].to(status)
        if status != "succeeded":
            self._free_key(task_id)

    def _free_key(self, task_id: UUID) -> None:
        task = self.tasks[task_id]
        if task.key and self.keys.get((task.queue, task.key)) == task_id:
            del self.keys[task.queue, task.key]
