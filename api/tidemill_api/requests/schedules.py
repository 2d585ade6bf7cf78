"""Cron schedules."""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from tidemill import cron
from tidemill.errors import Fault
from tidemill.schedules import NewSchedule
from tidemill_api.requests.fields import (
    HeaderName,
    HeaderValue,
    Instant,
    Priority,
    QueueName,
    Retries,
    Strict,
    TypeName,
    from_text,
)
from tidemill_api.requests.retry import RetryRequest

MOST_SLOTS: Final = 100


class ScheduleRequest(Strict):
    """A schedule as a whole: what is left out takes its default, of a task its type's or queue's.

    `paused` alone stays as it is when it is left out.
    """

    cron: Annotated[
        str,
        Field(
            min_length=1,
            max_length=cron.MAX_LENGTH,
            json_schema_extra={"format": "cron"},
            description="minute, hour, day of month, month, day of week; or @hourly, @daily, "
            "@weekly, @monthly, @yearly",
        ),
    ]
    time_zone: Annotated[
        str,
        Field(
            min_length=1,
            max_length=100,
            json_schema_extra={"format": "time-zone"},
            description="an IANA time zone",
        ),
    ] = "UTC"
    type: Annotated[TypeName, Field(description="which handler runs its tasks")]
    payload: Annotated[Any, Field(description="of each of its tasks")] = Field(
        default_factory=dict[str, Any]
    )
    queue: QueueName | None = None
    priority: Priority | None = None
    max_retries: Retries | None = None
    timeout_seconds: Annotated[float, Field(ge=0.001, le=604_800)] | None = None
    retry: RetryRequest | None = None
    headers: Annotated[
        dict[HeaderName, HeaderValue] | None,
        Field(max_length=30, description="of each of its tasks, beside the schedule's own two"),
    ] = None
    missed: Annotated[
        Literal["once", "skip"],
        Field(
            description="of slots that nobody was there for, or that came while it was paused, "
            "the latest fires (once) or none (skip)"
        ),
    ] = "once"
    ends_at: Annotated[Instant | None, Field(description="no slot is later")] = None
    paused: bool | None = None

    def faults(self) -> Sequence[Fault]:
        """Return the rules broken between fields, and by the times."""
        found = cron.faults(self.cron, self.time_zone)
        return found if self.retry is None else [*found, *self.retry.faults()]

    def value(self, name: str) -> NewSchedule:
        """Return the schedule `name` as core knows it."""
        return NewSchedule(
            name=name,
            cron=self.cron,
            time_zone=self.time_zone,
            type=self.type,
            payload=self.payload,
            queue=self.queue,
            priority=self.priority,
            max_retries=self.max_retries,
            timeout_seconds=self.timeout_seconds,
            retry=None if self.retry is None else self.retry.value(),
            headers=self.headers,
            missed=self.missed,
            ends_at=self.ends_at,
            paused=self.paused,
        )


class SlotsQuery(Strict):
    """How many slots to list, of those to come and of those that fired."""

    count: Annotated[
        int,
        BeforeValidator(from_text(MOST_SLOTS)),
        WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MOST_SLOTS, "default": 10}),
    ] = 10
