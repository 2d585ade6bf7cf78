"""Claimed tasks and leases as JSON."""

from collections.abc import Iterable, Sequence
from typing import Any

from tidemill.models import ClaimedTask, Extension, Lease
from tidemill_api.encoding import utc

Json = dict[str, Any]


def claimed_json(task: ClaimedTask) -> Json:
    """Return a task to run, with its lease."""
    return {
        "task_id": task.lease.task_id,
        "token": task.lease.token,
        "type": task.type,
        "name": task.name,
        "queue": task.queue,
        "priority": task.priority,
        "payload": task.payload,
        "headers": task.headers,
        "attempt": task.attempt,
        "retry_count": task.retry_count,
        "crash_count": task.crash_count,
        "max_retries": task.max_retries,
        "timeout_seconds": task.timeout_seconds,
        "lease_seconds": task.lease_seconds,
        "created_at": utc(task.created_at),
        "expires_at": utc(task.expires_at),
    }


def ends_json(leases: Iterable[Lease], held: Sequence[bool]) -> Json:
    """Return whether the end of each lease is recorded."""
    entries = [
        {"task_id": lease.task_id, "token": lease.token, "held": each}
        for lease, each in zip(leases, held, strict=True)
    ]
    return {"leases": entries}


def extension_json(extension: Extension) -> Json:
    """Return what became of one lease."""
    return {
        "task_id": extension.lease.task_id,
        "token": extension.lease.token,
        "held": extension.held,
        "cancel_requested": extension.cancel_requested,
    }
