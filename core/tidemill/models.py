"""The values that pass between producers, the store and workers. No behaviour beyond that.

Times are aware `datetime`s read from Postgres; durations are seconds as float.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from tidemill.retry import RetryPolicy
from tidemill.states import Event, Outcome, Status

type_name_pattern = r"^[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,199}$"
queue_name_pattern = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$"

NAMED_PRIORITIES = {"low": -100, "default": 0, "high": 100}


@dataclass(slots=True, kw_only=True)
class NewTask:
    """A task to enqueue. `None` = take the type's default, then the queue's, then the system's.

    Not frozen, as are the other values made once a task: that costs up to 6 µs each.
    """

    type: str
    payload: Any = field(default_factory=dict[str, Any])
    queue: str | None = None
    name: str | None = None
    priority: int | None = None
    run_at: datetime | None = None
    delay_seconds: float | None = None
    max_retries: int | None = None
    timeout_seconds: float | None = None
    retry: RetryPolicy | None = None
    idempotency_key: str | None = None
    idempotency_ttl_seconds: float | None = None
    expires_at: datetime | None = None
    headers: dict[str, str] | None = None
    payload_text: str | None = field(default=None, repr=False, compare=False)
    """The payload as JSON, where that is known: it need not be made again."""


@dataclass(slots=True)
class Enqueued:
    """The answer to an enqueue, with what the defaults came to.

    `created` is False when the idempotency key was known: then `id` is the first task's, `status`
    is None (read the task to know it) and the rest is what a new task would have got.
    """

    id: UUID
    status: Status | None
    created: bool
    queue: str
    priority: int
    max_retries: int
    timeout_seconds: float
    retry: dict[str, Any] | None
    created_at: datetime
    run_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task as it is now, wherever its row is."""

    id: UUID
    name: str | None
    type: str
    queue: str
    status: Status
    priority: int
    payload: Any
    headers: dict[str, str] | None
    idempotency_key: str | None
    retry: dict[str, Any] | None
    retry_count: int
    crash_count: int
    max_retries: int
    timeout_seconds: float
    created_at: datetime
    run_at: datetime
    first_run_at: datetime | None = None
    """When it was to run first, if it was enqueued for later."""
    expires_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    worker_id: int | None
    cancel_requested_at: datetime | None
    last_error: dict[str, Any] | None
    result: Any
    progress: dict[str, Any] | None = None
    """While it runs: how far its handler says that it has come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEvent:
    """One entry of a task's history; `status` is the task's after it."""

    event_type: Event
    status: Status
    created_at: datetime
    worker_id: int | None = None
    attempt: int | None = None
    error: dict[str, Any] | None = None
    run_at: datetime | None = None
    actor: str | None = None


@dataclass(frozen=True, slots=True)
class WorkerIdentity:
    """A registered worker process. `epoch` fences claims still in flight after a lost answer."""

    id: int
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerInfo:
    """What a worker process says of itself when it registers."""

    name: str
    slots: int
    queues: tuple[str, ...]
    version: str
    hostname: str
    pid: int
    pod_uid: str | None = None
    pod_name: str | None = None
    container: str | None = None
    instance: str | None = None


class Lease(NamedTuple):
    """The right to record the outcome of a task: valid while `token` is the task's current one."""

    task_id: UUID
    token: int


@dataclass(slots=True)
class ClaimedTask:
    """A task and the lease on it. `attempt` counts from 1.

    `has_body` is False when retention or a hand has removed the body: nothing can run, the claimer
    buries it. `expired` says that `expires_at` had passed when it was claimed, `type_paused` that
    its type is paused: the claimer sets it aside. `waited_seconds` is for how long it could have
    been claimed before.
    """

    lease: Lease
    has_body: bool
    expired: bool
    type: str
    name: str | None
    queue: str
    queue_id: int
    priority: int
    seq: int
    lane: int
    payload: Any
    headers: dict[str, str] | None
    retry_count: int
    crash_count: int
    max_retries: int
    timeout_seconds: float
    lease_seconds: float
    retry: RetryPolicy
    created_at: datetime | None
    expires_at: datetime | None
    type_paused: bool = False
    waited_seconds: float = 0.0

    @property
    def id(self) -> UUID:
        """The task's id."""
        return self.lease.task_id

    @property
    def attempt(self) -> int:
        """Which run this is, from 1."""
        return self.retry_count + 1


@dataclass(slots=True, kw_only=True)
class Finish:
    """The end of an attempt, reported by the lease's holder.

    `delay_seconds` is for RETRY and SNOOZED: when to run again. `run_seconds` is how long the
    handler ran by the worker's monotonic clock (0 when it never started).
    """

    lease: Lease
    outcome: Outcome
    run_seconds: float = 0.0
    delay_seconds: float | None = None
    error: dict[str, Any] | None = None
    result: Any = None


@dataclass(frozen=True, slots=True)
class Extension:
    """The answer to a heartbeat for one lease. `held` is False when the lease was lost."""

    lease: Lease
    held: bool
    cancel_requested: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskType:
    """A registered task type: its payload's JSON Schema and its defaults.

    `paused` and `app` (who registered it) are for readers: registering does not write them.
    """

    name: str
    schema: dict[str, Any] | None = None
    queue: str | None = None
    priority: int | None = None
    max_retries: int | None = None
    timeout_seconds: float | None = None
    retry: RetryPolicy | None = None
    description: str | None = None
    paused: bool = False
    app: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Exact figures of one queue, or of all: status counts are of tasks still kept."""

    total_tasks: int
    queued_tasks: int
    scheduled_tasks: int
    running_tasks: int
    succeeded_tasks: int
    failed_tasks: int
    cancelled_tasks: int
    avg_retry_count: float
    tasks_with_retries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStats:
    """One queue's figures. Rates are per second over the last minute."""

    queue: str
    paused: bool
    counts: Counts
    oldest_queued_seconds: float
    enqueued_per_second: float
    finished_per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Figures of the whole system and of each queue."""

    counts: Counts
    queues: tuple[QueueStats, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSnapshot:
    """What the scaling decision needs to know of one queue, read in one statement.

    `queued` is counted up to a cap. `due_soon` is scheduled tasks due within the asked horizon.
    `arrival_per_second` and `mean_run_seconds` are measured over the last minute(s); the latter is
    None before the first finished task.
    """

    queue: str
    queued: int
    due_soon: int
    running: int
    oldest_seconds: float
    paused: bool
    arrival_per_second: float
    mean_run_seconds: float | None
    max_running: int | None
