"""What people do to tasks (cancel, retry, delete, …): which ones they mean, and what came of it."""

from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from tidemill.states import Status


class Verdict(StrEnum):
    """What came of an act on one task."""

    DONE = "done"
    REQUESTED = "requested"
    """It runs: its worker was asked to cancel it."""
    REFUSED = "refused"
    """Its status does not allow the act."""
    KEY_TAKEN = "key_taken"
    """Another task holds its idempotency key."""
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Act:
    """What came of an act on one task: the status and queue that it has now.

    Both are None for a task that is missing; a deleted task has the status that it had.
    """

    verdict: Verdict
    status: Status | None = None
    queue: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFilter:
    """Which tasks: those that match every field given. `error_type` is for dead letters.

    `queues` are those that may be touched; None: all.
    """

    queue: str | None = None
    queues: tuple[str, ...] | None = None
    type: str | None = None
    status: Status | None = None
    priority: int | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    error_type: str | None = None

    @property
    def empty(self) -> bool:
        """Whether it matches every task."""
        return all(getattr(self, each.name) is None for each in fields(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How far an act by filter goes: `limit` tasks, on from `after`; a dry run only counts."""

    dry_run: bool = False
    limit: int = 10_000
    after: UUID | None = None


@dataclass(slots=True, kw_only=True)
class Bulk:
    """What came of an act on many tasks. `queues` got tasks to claim; no `next`: all were seen."""

    matched: int = 0
    changed: int = 0
    requested: int = 0
    refused: int = 0
    key_taken: int = 0
    missing: int = 0
    queues: frozenset[str] = frozenset()
    next: UUID | None = None
