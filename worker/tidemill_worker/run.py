"""One claimed task in this process."""

import time
from typing import TYPE_CHECKING, Any

from tidemill.models import ClaimedTask
from tidemill.sdk.context import Context, StopReason
from tidemill.tracing import Trace

if TYPE_CHECKING:
    import asyncio


class Run:
    """A lease of this process and how far its task has come.

    Made by the dispatcher; changed on the loop only, but for `lease_until`, which the heart's
    thread moves. All moments are `time.monotonic()`.
    """

    __slots__ = (
        "claimed_at",
        "concluded",
        "context",
        "in_thread",
        "lease_until",
        "runner",
        "started_at",
        "stop_reason",
        "stopped_at",
        "task",
        "timeout_at",
    )

    def __init__(self, task: ClaimedTask, claimed_at: float, lease_until: float) -> None:
        """Note a task claimed by a statement sent at `claimed_at`."""
        self.task = task
        self.claimed_at = claimed_at
        self.lease_until = lease_until
        self.started_at: float | None = None
        self.timeout_at = float("inf")
        self.stopped_at = float("inf")
        self.stop_reason: StopReason | None = None
        self.context: Context | None = None
        self.runner: asyncio.Task[Any] | None = None
        """The asyncio task to cancel when the handler must stop; None = it does not wait yet"""
        self.in_thread = False
        """A plain function runs in a thread: nothing but itself can end it"""
        self.concluded = False
        """An outcome has gone to the finisher, or the lease is lost: no second one follows"""

    def start(self, now: float) -> None:
        """Note that the handler starts."""
        self.started_at = now
        self.timeout_at = now + self.task.timeout_seconds

    def stop(self, reason: StopReason) -> None:
        """Tell the handler to stop, once: the first reason stands."""
        if self.stop_reason is not None:
            return
        self.stop_reason = reason
        self.stopped_at = time.monotonic()
        if self.context is not None:
            self.context.stop_reason = reason
        if self.runner is not None and not self.in_thread:
            self.runner.cancel(f"the task must stop: {reason}")

    def seconds(self) -> float:
        """Return how long the handler has run."""
        return 0.0 if self.started_at is None else time.monotonic() - self.started_at

    def described(self) -> dict[str, Any]:
        """Return what a log line says of the task."""
        return {
            "task": str(self.task.id),
            "type": self.task.type,
            "queue": self.task.queue,
            "attempt": self.task.attempt,
            "trace_id": self._trace().trace_id,
        }

    def _trace(self) -> Trace:
        if self.context is not None:
            return self.context.trace
        return Trace.of(self.task.id, self.task.headers or {})
