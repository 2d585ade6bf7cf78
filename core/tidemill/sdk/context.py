"""What a running handler may ask about its run, and how it learns that it should stop."""

from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID


class StopReason(StrEnum):
    """Why the worker wants a handler to stop."""

    TIMEOUT = "timeout"  # it ran past its `timeout_seconds`
    CANCELLED = "cancelled"  # somebody cancelled the task
    LEASE_LOST = "lease_lost"  # another worker may have it: nothing it does will be recorded
    DRAINING = "draining"  # the worker shuts down and gives the task back


@dataclass(slots=True, kw_only=True)
class Context:
    """Passed to a handler whose first parameter is annotated `Context`.

    A coroutine that should stop is cancelled; a plain function runs in a thread, which nothing can
    cancel, so a long one looks at `stop_reason` from time to time.
    """

    id: UUID
    type: str
    queue: str = "default"
    attempt: int = 1
    max_retries: int = 0
    timeout_seconds: float = 300.0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    stop_reason: StopReason | None = None
