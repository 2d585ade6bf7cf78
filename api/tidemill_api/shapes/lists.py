"""Entries of lists as JSON."""

from typing import Any

from tidemill.store.dead_letters import DeadLetter
from tidemill.store.listing import ListedTask, ListedWorker
from tidemill_api.encoding import utc
from tidemill_api.shapes.tasks import error_text

Json = dict[str, Any]


def listed_task_json(task: ListedTask) -> Json:
    """Return a task without what may be large."""
    return {
        "id": task.id,
        "name": task.name,
        "type": task.type,
        "queue": task.queue,
        "status": task.status,
        "priority": task.priority,
        "retry_count": task.retry_count,
        "crash_count": task.crash_count,
        "max_retries": task.max_retries,
        "timeout_seconds": task.timeout_seconds,
        "created_at": utc(task.created_at),
        "run_at": utc(task.run_at),
        "first_run_at": utc(task.first_run_at),
        "expires_at": utc(task.expires_at),
        "started_at": utc(task.started_at),
        "completed_at": utc(task.completed_at),
        "cancel_requested_at": utc(task.cancel_requested_at),
        "worker_id": task.worker_id,
        "idempotency_key": task.idempotency_key,
        "last_error": error_text(task.last_error),
    }


def worker_json(worker: ListedWorker) -> Json:
    """Return a worker process."""
    return {
        "id": worker.id,
        "name": worker.name,
        "hostname": worker.hostname,
        "pid": worker.pid,
        "pod_name": worker.pod_name,
        "version": worker.version,
        "queues": list(worker.queues),
        "slots": worker.slots,
        "running": worker.running,
        "draining": worker.draining,
        "cordoned": worker.cordoned,
        "started_at": utc(worker.started_at),
        "seen_at": utc(worker.seen_at),
        "seen_seconds": worker.seen_seconds,
    }


def dead_letter_json(letter: DeadLetter) -> Json:
    """Return a task that failed for good."""
    return {
        "task_id": letter.task_id,
        "queue": letter.queue,
        "type": letter.type,
        "name": letter.name,
        "failed_at": utc(letter.failed_at),
        "retry_count": letter.retry_count,
        "crash_count": letter.crash_count,
        "error_type": letter.error_type,
        "error": error_text(letter.error),
    }
