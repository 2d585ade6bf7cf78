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


class Stopped(Exception):
    """Raised by `Context.raise_if_stopped`: the handler has seen that it should stop."""


@dataclass(slots=True, kw_only=True)
class Context:
    """Passed to a handler whose first parameter is annotated `Context`.

    A coroutine that should stop is cancelled; a plain function runs in a thread, which nothing can
    cancel, so a long one calls `raise_if_stopped` from time to time.
    """

    id: UUID
    type: str
    queue: str = "default"
    attempt: int = 1
    max_retries: int = 0
    timeout_seconds: float = 300.0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    stop_reason: StopReason | None = None

    @property
    def cancelled(self) -> bool:
        """Whether somebody cancelled the task. A handler that returns all the same succeeds."""
        return self.stop_reason is StopReason.CANCELLED

    def raise_if_stopped(self) -> None:
        """Raise Stopped when the handler should stop, for whatever reason."""
        if self.stop_reason is not None:
            raise Stopped(f"the task must stop: {self.stop_reason}")
