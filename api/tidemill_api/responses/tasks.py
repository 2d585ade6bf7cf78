"""Answers about tasks."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from tidemill.states import Event, Status
from tidemill_api.responses.base import Answer


class TaskAnswer(Answer):
    """A task. Times are ISO 8601 in UTC, durations seconds."""

    id: UUID
    name: str | None
    type: str
    queue: str
    status: Status
    priority: int
    payload: Any
    retry_count: Annotated[int, Field(description="retries charged so far")]
    crash_count: Annotated[int, Field(description="how often it took its worker down")]
    max_retries: int
    timeout_seconds: float
    retry: Annotated[dict[str, Any] | None, Field(description="null: the default policy")]
    created_at: datetime
    run_at: Annotated[datetime, Field(description="when it may run (again)")]
    first_run_at: Annotated[
        datetime | None, Field(description="when it was to run first, if enqueued for later")
    ]
    expires_at: datetime | None
    started_at: Annotated[datetime | None, Field(description="start of its latest attempt")]
    completed_at: datetime | None
    cancel_requested_at: datetime | None
    worker_id: Annotated[int | None, Field(description="who runs it, or ran it last")]
    idempotency_key: str | None
    headers: dict[str, str] | None
    last_error: Annotated[str | None, Field(description="`Type: message`, one line")]
    last_error_detail: Annotated[
        dict[str, Any] | None, Field(description="the error as the worker reported it")
    ]
    result: Annotated[Any, Field(description="what the handler returned")]
    progress: Annotated[
        dict[str, Any] | None,
        Field(description="while it runs, if its handler says so: `done`, `total`, `message`"),
    ]


class BatchEntry(Answer):
    """One task of a batch, in the order given."""

    id: UUID
    type: str
    queue: str
    status: Annotated[Status | None, Field(description="null where created is false: GET it")]
    created: Annotated[bool, Field(description="false: its idempotency key was known")]


class BatchAnswer(Answer):
    """What a batch did."""

    created: Annotated[int, Field(description="how many tasks are new")]
    existing: Annotated[int, Field(description="how many were known by their idempotency keys")]
    tasks: list[BatchEntry]


class EventAnswer(Answer):
    """One entry of a task's history; `status` is the task's after it."""

    event_type: Event
    status: Status
    created_at: datetime
    worker_id: int | None
    attempt: Annotated[int | None, Field(description="which run, from 1")]
    error: Annotated[str | None, Field(description="`Type: message`, one line")]
    error_detail: dict[str, Any] | None
    run_at: Annotated[datetime | None, Field(description="when it runs again")]
    actor: Annotated[str | None, Field(description="who acted, for acts by people")]
