"""What the API answers, as models: /openapi.json is made from them, contract tests hold answers
against them. Answers themselves are built by `shapes`, which costs a tenth of a model.
"""  # noqa: D205 - one thought

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from tidemill.states import Event, Status


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TaskAnswer(_Answer):
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


class BatchEntry(_Answer):
    """One task of a batch, in the order given."""

    id: UUID
    type: str
    queue: str
    status: Annotated[Status | None, Field(description="null where created is false: GET it")]
    created: Annotated[bool, Field(description="false: its idempotency key was known")]


class BatchAnswer(_Answer):
    """What a batch did."""

    created: Annotated[int, Field(description="how many tasks are new")]
    existing: Annotated[int, Field(description="how many were known by their idempotency keys")]
    tasks: list[BatchEntry]


class EventAnswer(_Answer):
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


class CountsAnswer(_Answer):
    """Status counts are of tasks still kept; the retry figures are over all time."""

    total_tasks: int
    queued_tasks: int
    scheduled_tasks: int
    running_tasks: int
    succeeded_tasks: int
    failed_tasks: int
    cancelled_tasks: int
    avg_retry_count: float
    tasks_with_retries: int


class QueueStatsAnswer(CountsAnswer):
    """One queue's figures; rates are per second over the last minute."""

    queue: str
    paused: bool
    oldest_queued_seconds: float
    enqueued_per_second: float
    finished_per_second: float


class StatsAnswer(CountsAnswer):
    """Figures of the whole system, and of each queue."""

    queues: list[QueueStatsAnswer]


class HealthAnswer(_Answer):
    """Whether this server can do its work. 200 when ok, 503 when degraded."""

    status: Literal["ok", "degraded"]
    database: Literal["up", "down"]


class AliveAnswer(_Answer):
    """The process answers."""

    status: Literal["ok"]


class ReadyAnswer(_Answer):
    """Whether requests should be sent here; `reason` says why not."""

    status: Literal["ready", "unready"]
    reason: str | None


class VersionAnswer(_Answer):
    """What runs here."""

    version: str
    schema_version: Annotated[int, Field(description="database schema that this code expects")]


class IndexAnswer(_Answer):
    """Where to look next."""

    name: Literal["tidemill"]
    version: str
    paths: dict[str, str]


class FaultAnswer(_Answer):
    """One broken rule."""

    field: Annotated[str, Field(examples=["tasks[3].payload.to"])]
    rule: Annotated[str, Field(examples=["must be text"])]
    value: Annotated[Any, Field(description="what was given, shortened; null where nothing was")]


class ProblemAnswer(_Answer):
    """An error (RFC 9457)."""

    type: Annotated[str, Field(examples=["urn:tidemill:problem:invalid-task"])]
    title: str
    status: int
    detail: str
    request_id: str
    faults: list[FaultAnswer] | None = None
