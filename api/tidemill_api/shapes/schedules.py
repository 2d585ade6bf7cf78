"""Cron schedules as JSON."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from tidemill.schedules import FiredSlot, Schedule
from tidemill_api.encoding import utc

Json = dict[str, Any]


def schedule_json(schedule: Schedule) -> Json:
    """Return what a schedule says, and its state."""
    said = schedule.definition
    return {
        "name": said.name,
        "cron": said.cron,
        "time_zone": said.time_zone,
        "type": said.type,
        "payload": said.payload,
        "queue": said.queue,
        "priority": said.priority,
        "max_retries": said.max_retries,
        "timeout_seconds": said.timeout_seconds,
        "retry": None if said.retry is None else said.retry.to_json(),
        "headers": said.headers,
        "missed": said.missed,
        "ends_at": utc(said.ends_at),
        "paused": schedule.paused,
        "next_slot": utc(schedule.next_slot),
        "last_slot": utc(schedule.last_slot),
        "last_error": schedule.last_error,
        "last_error_at": utc(schedule.last_error_at),
        "app": schedule.app,
        "created_at": utc(schedule.created_at),
        "updated_at": utc(schedule.updated_at),
    }


def slots_json(upcoming: Iterable[datetime], fired: Iterable[FiredSlot]) -> Json:
    """Return slots to come, and slots that became tasks."""
    return {
        "upcoming": [utc(slot) for slot in upcoming],
        "fired": [
            {"slot": utc(each.slot), "task_id": each.task_id, "fired_at": utc(each.fired_at)}
            for each in fired
        ],
    }
