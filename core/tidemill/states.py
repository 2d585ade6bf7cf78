"""A task's states, the outcomes of its attempts and the events of its history: names and rules.

A task's state is where its row is: `ready` = queued, `scheduled` = scheduled, `leases` = running,
else what its last attempt says.
"""

from enum import StrEnum


class Status(StrEnum):
    """Where a task is. The last three are final."""

    QUEUED = "queued"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether nothing more happens to the task by itself."""
        return self in _FINAL


_FINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED})


class Outcome(StrEnum):
    """How an attempt ended, as stored in `attempts.outcome`.

    `LEASE_EXPIRED` is written by recovery only, the last three by acts of people; the others can be
    reported by the lease's holder.
    """

    SUCCEEDED = "succeeded"
    RETRY = "retry"  # failed, will run again later
    FAILED = "failed"  # failed for good: a dead letter
    CANCELLED = "cancelled"
    SNOOZED = "snoozed"  # asked to run later; no retry charged
    RELEASED = "released"  # given back unfinished; no retry charged
    LEASE_EXPIRED = "lease_expired"  # its worker died or hung; will run again
    REPLAYED = "replayed"  # run again by hand
    MOVED = "moved"  # to another queue
    REPRIORITISED = "reprioritised"


class Event(StrEnum):
    """Kinds of entries in a task's history."""

    TASK_QUEUED = "task_queued"
    TASK_SCHEDULED = "task_scheduled"
    TASK_STARTED = "task_started"
    RETRY_SCHEDULED = "retry_scheduled"
    TASK_SNOOZED = "task_snoozed"
    LEASE_EXPIRED = "lease_expired"
    TASK_RELEASED = "task_released"
    TASK_SUCCEEDED = "task_succeeded"
    TASK_FAILED = "task_failed"
    TASK_CANCELLED = "task_cancelled"
    TASK_REPLAYED = "task_replayed"
