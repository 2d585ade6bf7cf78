"""Queues as JSON."""

from typing import Any

from tidemill.store.queues import Queue
from tidemill_api.encoding import utc

Json = dict[str, Any]


def queue_json(queue: Queue) -> Json:
    """Return a queue's settings; null is the system's default."""
    return {
        "name": queue.name,
        "paused": queue.paused or queue.owner_paused,
        "paused_by": _pausers(queue),
        "priority": queue.priority,
        "max_retries": queue.max_retries,
        "timeout_seconds": queue.timeout_seconds,
        "retry": None if queue.retry is None else queue.retry.to_json(),
        "lease_seconds": queue.lease_seconds,
        "max_depth": queue.max_depth,
        "max_running": queue.max_running,
        "rate_limit": _rate(queue),
        "unknown_types": queue.unknown_types,
        "starvation_seconds": queue.starvation_seconds,
        "retention": {
            "succeeded_seconds": queue.succeeded_seconds,
            "failed_seconds": queue.failed_seconds,
            "cancelled_seconds": queue.cancelled_seconds,
        },
        "owner": _owner(queue),
        "created_at": utc(queue.created_at),
        "updated_at": utc(queue.updated_at),
    }


def _pausers(queue: Queue) -> list[str]:
    sides = (("api", queue.paused), ("owner", queue.owner_paused))
    return [side for side, pauses in sides if pauses]


def _rate(queue: Queue) -> Json | None:
    if queue.rate_tasks is None:
        return None
    return {"tasks": queue.rate_tasks, "seconds": queue.rate_seconds}


def _owner(queue: Queue) -> Json | None:
    if queue.owner_name is None:
        return None
    return {"name": queue.owner_name, "fields": sorted(queue.owner_fields)}
