"""Task types as JSON."""

from typing import Any

from tidemill.models import TaskType


def type_json(found: TaskType) -> dict[str, Any]:
    """Return a task type: null takes the queue's default, then the system's."""
    return {
        "name": found.name,
        "schema": found.schema,
        "description": found.description,
        "queue": found.queue,
        "priority": found.priority,
        "max_retries": found.max_retries,
        "timeout_seconds": found.timeout_seconds,
        "retry": None if found.retry is None else found.retry.to_json(),
        "paused": found.paused,
        "app": found.app,
    }
