"""Tasks, batches and history as JSON."""

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any
from uuid import UUID

from tidemill.models import Enqueued, HistoryEvent, NewTask, Task
from tidemill.states import Status
from tidemill_api.encoding import encoded, payload_text, utc

Json = dict[str, Any]


def task_json(task: Task) -> Json:
    """Return a task as it is now."""
    return {
        "id": str(task.id),  # one of asyncpg's costs the encoder 5 µs
        "name": task.name,
        "type": task.type,
        "queue": task.queue,
        "status": task.status,
        "priority": task.priority,
        "payload": task.payload,
        "retry_count": task.retry_count,
        "crash_count": task.crash_count,
        "max_retries": task.max_retries,
        "timeout_seconds": task.timeout_seconds,
        "retry": task.retry,
        "created_at": utc(task.created_at),
        "run_at": utc(task.run_at),
        "first_run_at": utc(task.first_run_at),
        "expires_at": utc(task.expires_at),
        "started_at": utc(task.started_at),
        "completed_at": utc(task.completed_at),
        "cancel_requested_at": utc(task.cancel_requested_at),
        "worker_id": task.worker_id,
        "idempotency_key": task.idempotency_key,
        "headers": task.headers,
        "last_error": error_text(task.last_error),
        "last_error_detail": task.last_error,
        "result": task.result,
        "progress": task.progress,
    }


def new_task_json(asked: NewTask, made: Enqueued) -> Json:
    """Return a task that was just created, without reading it back: the same keys as any task."""
    return {
        "id": str(made.id),
        "name": asked.name,
        "type": asked.type,
        "queue": made.queue,
        "status": made.status,
        "priority": made.priority,
        "payload": asked.payload,
        "retry_count": 0,
        "crash_count": 0,
        "max_retries": made.max_retries,
        "timeout_seconds": made.timeout_seconds,
        "retry": made.retry,
        "created_at": utc(made.created_at),
        "run_at": utc(made.run_at),
        "first_run_at": utc(made.run_at) if made.status is Status.SCHEDULED else None,
        "expires_at": utc(asked.expires_at),
        "started_at": None,
        "completed_at": None,
        "cancel_requested_at": None,
        "worker_id": None,
        "idempotency_key": asked.idempotency_key,
        "headers": asked.headers,
        "last_error": None,
        "last_error_detail": None,
        "result": None,
        "progress": None,
    }


def new_task(asked: NewTask, made: Enqueued) -> bytes:
    """Return `new_task_json` encoded: of plain tasks, stored together, id and payload differ."""
    if made.retry is not None or _plain(asked) != _NOTHING:
        return encoded(new_task_json(asked, made))
    before, after = _alike(
        asked.type,
        made.queue,
        made.status,
        made.priority,
        made.max_retries,
        made.timeout_seconds,
        made.created_at,
        made.run_at,
    )
    payload = asked.payload_text or payload_text(asked.payload)
    return f'{{"id":"{made.id}"{before}{payload}{after}'.encode()


_plain = attrgetter("name", "expires_at", "idempotency_key", "headers")
_NOTHING = (None,) * 4


@lru_cache(maxsize=128)
def _alike(  # noqa: PLR0917 - a cache's key
    kind: str,
    queue: str,
    status: Status | None,
    priority: int,
    max_retries: int,
    timeout_seconds: float,
    created_at: datetime,
    run_at: datetime,
) -> tuple[str, str]:
    """Return what is between a new task's id and its payload, and what is after that."""
    made = Enqueued(
        UUID(int=0),
        status,
        True,
        queue,
        priority,
        max_retries,
        timeout_seconds,
        None,
        created_at,
        run_at,
    )
    fields = new_task_json(NewTask(type=kind), made)
    del fields["id"]
    names = list(fields)
    place = names.index("payload")
    before = encoded({name: fields[name] for name in names[:place]}).decode()
    after = encoded({name: fields[name] for name in names[place + 1 :]}).decode()
    return f',{before[1:-1]},"payload":', f",{after[1:]}"


def batch_json(types: Iterable[str], made: list[Enqueued]) -> Json:
    """Return the answer to a batch: one short entry a task, in the order given."""
    entries = [
        {
            "id": str(each.id),
            "type": kind,
            "queue": each.queue,
            "status": each.status and str(each.status),  # an enum costs the encoder 2 µs
            "created": each.created,
        }
        for kind, each in zip(types, made, strict=True)
    ]
    created = sum(each.created for each in made)
    return {"created": created, "existing": len(made) - created, "tasks": entries}


def event_json(event: HistoryEvent) -> Json:
    """Return one entry of a task's history."""
    return {
        "event_type": event.event_type,
        "status": event.status,
        "created_at": utc(event.created_at),
        "worker_id": event.worker_id,
        "attempt": event.attempt,
        "error": error_text(event.error),
        "error_detail": event.error,
        "run_at": utc(event.run_at),
        "actor": event.actor,
    }


def error_text(error: Json | None) -> str | None:
    """Return an error as one line: its type and the first line of its message."""
    if not error:
        return None
    kind, message = error.get("type"), str(error.get("message") or "")
    first = message.partition("\n")[0]
    return ": ".join(str(part) for part in (kind, first) if part) or "unknown error"
