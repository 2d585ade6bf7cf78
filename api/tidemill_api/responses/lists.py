"""Pages of lists."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from tidemill.states import Status
from tidemill_api.responses.base import Answer


class ListedTaskAnswer(Answer):
    """A task in a list. Its payload, headers and result come with GET /api/tasks/{id}."""

    id: UUID
    name: str | None
    type: str
    queue: str
    status: Status
    priority: int
    retry_count: int
    crash_count: int
    max_retries: int
    timeout_seconds: float
    created_at: datetime
    run_at: datetime
    first_run_at: datetime | None
    expires_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    cancel_requested_at: datetime | None
    worker_id: int | None
    idempotency_key: str | None
    last_error: Annotated[str | None, Field(description="`Type: message`, one line")]


class TaskPageAnswer(Answer):
    """Tasks, newest first."""

    tasks: list[ListedTaskAnswer]
    next: Annotated[
        UUID | None,
        Field(
            description="give it as `cursor` for the next page; null: the end. A page may be "
            "short, or empty, where few of the tasks that it looked at fit"
        ),
    ]


class WorkerAnswer(Answer):
    """A worker process that has not left."""

    id: int
    name: str
    hostname: str
    pid: int
    pod_name: str | None
    version: str
    queues: Annotated[list[str], Field(description="`*` = all")]
    slots: Annotated[int, Field(description="tasks that it runs at once")]
    running: Annotated[int, Field(description="tasks that it holds")]
    draining: Annotated[bool, Field(description="it ends")]
    cordoned: Annotated[bool, Field(description="it claims nothing more")]
    started_at: datetime
    seen_at: datetime
    seen_seconds: Annotated[float, Field(description="age of its last heartbeat")]


class WorkerPageAnswer(Answer):
    """Workers in the order of their ids."""

    workers: list[WorkerAnswer]
    next: Annotated[
        str | None, Field(description="give it as `cursor` for the next page; null: the end")
    ]


class DeadLetterAnswer(Answer):
    """A task that failed for good; GET /api/tasks/{task_id} has all of it."""

    task_id: UUID
    queue: str
    type: str
    name: str | None
    failed_at: datetime
    retry_count: int
    crash_count: int
    error_type: str | None
    error: Annotated[str | None, Field(description="`Type: message`, one line")]


class DeadLetterPageAnswer(Answer):
    """Dead letters, latest failure first."""

    dead_letters: list[DeadLetterAnswer]
    next: Annotated[
        str | None, Field(description="give it as `cursor` for the next page; null: the end")
    ]
