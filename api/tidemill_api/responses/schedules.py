"""Cron schedules."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from tidemill_api.responses.base import Answer


class ScheduleAnswer(Answer):
    """A schedule; null takes the type's default, then the queue's, then the system's."""

    name: str
    cron: str
    time_zone: str
    type: str
    payload: Any
    queue: str | None
    priority: int | None
    max_retries: int | None
    timeout_seconds: float | None
    retry: dict[str, Any] | None
    headers: dict[str, str] | None
    missed: Literal["once", "skip"]
    ends_at: datetime | None
    paused: bool
    next_slot: Annotated[datetime | None, Field(description="null: no slot comes any more")]
    last_slot: Annotated[datetime | None, Field(description="the latest that became a task")]
    last_error: Annotated[
        str | None, Field(description="why the latest slot that came became no task")
    ]
    last_error_at: datetime | None
    app: Annotated[str | None, Field(description="the app whose code declares it")]
    created_at: datetime
    updated_at: datetime


class SchedulesAnswer(Answer):
    """All schedules by name."""

    schedules: list[ScheduleAnswer]


class FiredSlotAnswer(Answer):
    """A slot that became a task."""

    slot: datetime
    task_id: UUID
    fired_at: datetime


class SlotsAnswer(Answer):
    """Slots of a schedule."""

    upcoming: Annotated[list[datetime], Field(description="the next ones; paused, it skips them")]
    fired: Annotated[
        list[FiredSlotAnswer], Field(description="the latest first; of the last 7 days")
    ]
