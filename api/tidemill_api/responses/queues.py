"""Queues."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from tidemill_api.responses.base import Answer


class RateLimitAnswer(Answer):
    """At most `tasks` starts in `seconds`."""

    tasks: float
    seconds: float


class RetentionAnswer(Answer):
    """How long ended tasks are kept (seconds)."""

    succeeded_seconds: float | None
    failed_seconds: float | None
    cancelled_seconds: float | None


class OwnerAnswer(Answer):
    """The TaskQueue that owns a queue."""

    name: Annotated[str, Field(description="namespace/name")]
    fields: Annotated[list[str], Field(description="settings that only it may change")]


class QueueAnswer(Answer):
    """A queue's settings; null is the system's default, or no limit."""

    name: str
    paused: Annotated[bool, Field(description="by either side")]
    paused_by: list[Literal["api", "owner"]]
    priority: int | None
    max_retries: int | None
    timeout_seconds: float | None
    retry: dict[str, Any] | None
    lease_seconds: float | None
    max_depth: int | None
    max_running: int | None
    rate_limit: RateLimitAnswer | None
    unknown_types: Literal["accept", "reject"] | None
    starvation_seconds: float | None
    retention: RetentionAnswer
    owner: OwnerAnswer | None
    created_at: datetime
    updated_at: datetime


class QueuesAnswer(Answer):
    """All queues by name."""

    queues: list[QueueAnswer]
