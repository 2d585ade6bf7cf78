"""Schedules as values: what one says, what is known of it, and the task that a slot becomes."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal
from uuid import UUID

from tidemill.models import NewTask
from tidemill.retry import RetryPolicy

schedule_name_pattern = r"^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,199}$"

SCHEDULE_HEADER: Final = "tidemill-schedule"
SLOT_HEADER: Final = "tidemill-slot"

Missed = Literal["once", "skip"]
MISSED: Final[tuple[Missed, ...]] = ("once", "skip")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSchedule:
    """A schedule to create or replace. A task's field that is None takes the defaults of a task.

    `missed`: of the slots that nobody was there for (or that came while it was paused) the latest
    fires, `once`, or none does, `skip`. No slot is later than `ends_at`. `paused` None: as it is.
    """

    name: str
    cron: str
    type: str
    time_zone: str = "UTC"
    payload: Any = field(default_factory=dict[str, Any])
    queue: str | None = None
    priority: int | None = None
    max_retries: int | None = None
    timeout_seconds: float | None = None
    retry: RetryPolicy | None = None
    headers: dict[str, str] | None = None
    missed: Missed = "once"
    ends_at: datetime | None = None
    paused: bool | None = None

    def task(self, slot: datetime | None = None) -> NewTask:
        """Return the task of `slot`, or of a run by hand."""
        own = {SCHEDULE_HEADER: self.name}
        if slot is not None:
            own[SLOT_HEADER] = slot_text(slot)
        return NewTask(
            type=self.type,
            payload=self.payload,
            queue=self.queue,
            name=self.name,
            priority=self.priority,
            max_retries=self.max_retries,
            timeout_seconds=self.timeout_seconds,
            retry=self.retry,
            headers={**(self.headers or {}), **own},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A schedule as it is now: what was said (`definition`, never with `paused`), and its state.

    `next_slot` is None when no slot comes any more. `last_error` says why the latest slot that came
    fired no task, and is None once one has fired again. `app` declares it in code.
    """

    definition: NewSchedule
    paused: bool
    next_slot: datetime | None
    last_slot: datetime | None
    last_error: str | None
    last_error_at: datetime | None
    app: str | None
    created_at: datetime
    updated_at: datetime

    @property
    def name(self) -> str:
        """The schedule's name."""
        return self.definition.name


@dataclass(frozen=True, slots=True)
class FiredSlot:
    """A slot that became a task."""

    slot: datetime
    task_id: UUID
    fired_at: datetime


def slot_text(slot: datetime) -> str:
    """Return a slot as a task's header shows it: `2026-03-29T01:00:00Z`."""
    return f"{slot.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
