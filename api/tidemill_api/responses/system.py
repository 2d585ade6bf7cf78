"""Answers about the system: figures, health, versions."""

from typing import Annotated, Literal

from pydantic import Field

from tidemill_api.responses.base import Answer


class CountsAnswer(Answer):
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


class HealthAnswer(Answer):
    """Whether this server can do its work. 200 when ok, 503 when degraded."""

    status: Literal["ok", "degraded"]
    database: Literal["up", "down"]


class AliveAnswer(Answer):
    """The process answers."""

    status: Literal["ok"]


class ReadyAnswer(Answer):
    """Whether requests should be sent here; `reason` says why not."""

    status: Literal["ready", "unready"]
    reason: str | None


class VersionAnswer(Answer):
    """What runs here."""

    version: str
    schema_version: Annotated[int, Field(description="database schema that this code expects")]


class IndexAnswer(Answer):
    """Where to look next."""

    name: Literal["tidemill"]
    version: str
    paths: dict[str, str]
