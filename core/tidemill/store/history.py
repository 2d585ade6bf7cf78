"""A task's history from its body, its attempts and where it is now: a pure function."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from tidemill.models import HistoryEvent, Task
from tidemill.states import Event, Status

Attempt = Mapping[str, Any]

# outcome of an attempts row -> the event it ends with, and the task's status after it
_ENDS: dict[str, tuple[Event, Status]] = {
    "succeeded": (Event.TASK_SUCCEEDED, Status.SUCCEEDED),
    "retry": (Event.RETRY_SCHEDULED, Status.SCHEDULED),
    "failed": (Event.TASK_FAILED, Status.FAILED),
    "cancelled": (Event.TASK_CANCELLED, Status.CANCELLED),
    "snoozed": (Event.TASK_SNOOZED, Status.SCHEDULED),
    "released": (Event.TASK_RELEASED, Status.QUEUED),
    "lease_expired": (Event.LEASE_EXPIRED, Status.QUEUED),
    "replayed": (Event.TASK_REPLAYED, Status.QUEUED),
}


def events(task: Task, attempts: Sequence[Attempt]) -> list[HistoryEvent]:
    """Return the entries of `task`, oldest first. `attempts` are its rows, in order of token."""
    entries = list(_born(task, attempts))
    for attempt in attempts:
        entries.extend(_entries(attempt))
    if task.status is Status.RUNNING and task.started_at:
        entries.append(_started(task.started_at, task.worker_id, task.retry_count + 1))
    return entries


def _born(task: Task, attempts: Sequence[Attempt]) -> Iterator[HistoryEvent]:
    due = task.first_run_at
    if due is not None:
        yield HistoryEvent(
            event_type=Event.TASK_SCHEDULED,
            status=Status.SCHEDULED,
            created_at=task.created_at,
            run_at=due,
        )
        if not attempts and task.status is Status.SCHEDULED:
            return
    # Promotion writes nothing: when the task was due stands for when it was queued.
    yield HistoryEvent(
        event_type=Event.TASK_QUEUED,
        status=Status.QUEUED,
        created_at=due or task.created_at,
    )


def _entries(attempt: Attempt) -> Iterator[HistoryEvent]:
    if attempt["outcome"] not in _ENDS:  # admin acts that leave the status as it is
        return
    if attempt["started_at"]:
        yield _started(attempt["started_at"], attempt["worker_id"], attempt["attempt"])
    event, status = _ENDS[attempt["outcome"]]
    error = attempt["error"]
    if event is Event.TASK_FAILED and error and error.get("type") == "LeaseExpired":
        yield _ended(attempt, Event.LEASE_EXPIRED, Status.RUNNING)
    yield _ended(attempt, event, status)


def _started(at: datetime, worker_id: int | None, number: int | None) -> HistoryEvent:
    return HistoryEvent(
        event_type=Event.TASK_STARTED,
        status=Status.RUNNING,
        created_at=at,
        worker_id=worker_id,
        attempt=number,
    )


def _ended(attempt: Attempt, event: Event, status: Status) -> HistoryEvent:
    return HistoryEvent(
        event_type=event,
        status=status,
        created_at=attempt["finished_at"],
        worker_id=attempt["worker_id"],
        attempt=attempt["attempt"],
        error=attempt["error"],
        run_at=attempt["run_at"],
        actor=attempt["actor"],
    )
