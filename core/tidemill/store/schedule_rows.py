"""Schedules to rows and back."""

from typing import Any

from tidemill.db import Record
from tidemill.jsontext import dumps, dumps_or_none, loads
from tidemill.retry import RetryPolicy
from tidemill.schedules import NewSchedule, Schedule


def columns_of(said: NewSchedule) -> tuple[Any, ...]:
    """Return what a schedule says as the first parameters of `schedule_put`."""
    return (
        said.name,
        said.cron,
        said.time_zone,
        said.type,
        dumps(said.payload),
        said.queue,
        said.priority,
        said.max_retries,
        said.timeout_seconds,
        dumps(said.retry.to_json()) if said.retry else None,
        dumps_or_none(said.headers),
        said.missed,
        said.ends_at,
    )


def schedule_of(row: Record) -> Schedule:
    """Return the schedule in `row`. A retry policy that cannot be read is none, as in a claim."""
    said = NewSchedule(
        name=row["name"],
        cron=row["cron"],
        time_zone=row["time_zone"],
        type=row["type"],
        payload=loads(row["payload"]),
        queue=row["queue"],
        priority=row["priority"],
        max_retries=row["max_retries"],
        timeout_seconds=row["timeout_seconds"],
        retry=_retry(row["retry"]),
        headers=loads(row["headers"]),
        missed=row["missed"],
        ends_at=row["ends_at"],
    )
    return Schedule(
        definition=said,
        paused=row["paused"],
        next_slot=row["next_slot"],
        last_slot=row["last_slot"],
        last_error=row["last_error"],
        last_error_at=row["last_error_at"],
        app=row["app"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _retry(text: str | None) -> RetryPolicy | None:
    try:
        return RetryPolicy.from_json(loads(text)) if text else None
    except (TypeError, ValueError):  # written by hand, past all checks
        return None
