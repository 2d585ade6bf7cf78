"""What a running handler may ask about its run, and how it learns that it should stop."""

import logging
import time
from collections.abc import Awaitable, Generator, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from tidemill.tracing import Trace

_log = logging.getLogger("tidemill.task")


class StopReason(StrEnum):
    """Why the worker wants a handler to stop."""

    TIMEOUT = "timeout"  # it ran past its `timeout_seconds`
    CANCELLED = "cancelled"  # somebody cancelled the task
    LEASE_LOST = "lease_lost"  # another worker may have it: nothing it does will be recorded
    DRAINING = "draining"  # the worker shuts down and gives the task back


class Stopped(Exception):
    """Raised to a handler that should stop, by the calls of `Context` that say so."""


class Link(Protocol):
    """What a context asks of the worker that runs it."""

    def progress(self, value: dict[str, Any]) -> None:
        """Note how far the task has come; the latest value is stored soon. Any thread."""

    def renew(self) -> Awaitable[None]:
        """Renew the lease; Stopped when it is lost or the task should stop.

        For a coroutine the answer is awaited. For a plain function, which cannot await, the call
        itself waits and raises, and returns `DONE`.
        """
        ...


class _Done:
    """Something to await that has happened; a coroutine would warn when it is not awaited."""

    def __await__(self) -> Generator[None, None, None]:
        yield from ()


DONE: Awaitable[None] = _Done()


class Unlinked:
    """The link of a context that no worker made: a handler called in a test, say."""

    def progress(self, value: dict[str, Any]) -> None:
        """Keep nothing."""

    def renew(self) -> Awaitable[None]:
        """Renew nothing."""
        return DONE


@dataclass(slots=True, kw_only=True)
class Context:
    """Passed to a handler whose first parameter is annotated `Context`.

    A coroutine that should stop is cancelled, and a process killed; a plain function runs in a
    thread, which nothing can end, so a long one calls `raise_if_stopped` from time to time.
    """

    id: UUID
    type: str
    queue: str = "default"
    attempt: int = 1
    max_retries: int = 0
    timeout_seconds: float = 300.0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    deadline: float = float("inf")
    """When its timeout ends it, by `time.monotonic()`, which is also the event loop's `time()`"""
    stop_reason: StopReason | None = None
    link: Link = field(default_factory=Unlinked, repr=False)
    span: Trace | None = field(default=None, repr=False)
    """The span of this run, where middleware makes one"""

    @property
    def cancelled(self) -> bool:
        """Whether somebody cancelled the task. A handler that returns all the same succeeds."""
        return self.stop_reason is StopReason.CANCELLED

    @property
    def seconds_left(self) -> float:
        """How long until the timeout, in seconds; 0 when it is over."""
        return max(0.0, self.deadline - time.monotonic())

    @property
    def logger(self) -> "TaskLogger":
        """A logger whose lines carry the task, its type, queue, attempt and trace."""
        return TaskLogger(_log, self.described())

    @property
    def trace(self) -> Trace:
        """This run's place in its trace: that of the task's headers, or one of its own."""
        return self.span or Trace.of(self.id, self.headers)

    @property
    def traceparent(self) -> str:
        """The header that puts a request to somebody else into this run's trace."""
        return str(self.trace)

    def described(self) -> dict[str, Any]:
        """Return what a log line says of the task."""
        return {
            "task": str(self.id),
            "type": self.type,
            "queue": self.queue,
            "attempt": self.attempt,
            "trace_id": self.trace.trace_id,
        }

    def raise_if_stopped(self) -> None:
        """Raise Stopped when the handler should stop, for whatever reason."""
        if self.stop_reason is not None:
            raise Stopped(f"the task must stop: {self.stop_reason}")

    def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Say how far the task has come: `progress(3, 10, "thumbnails")`. Never waits.

        Stored about once a second, the latest value only, and shown while the task runs.
        """
        given = {"done": done, "total": total, "message": message}
        self.link.progress({name: value for name, value in given.items() if value is not None})

    def heartbeat(self) -> Awaitable[None]:
        """Make sure that the task is still ours, before something that cannot be undone.

        `await context.heartbeat()` in a coroutine, `context.heartbeat()` in a plain function.
        Heartbeats happen by themselves; this renews the lease now, and raises Stopped when it is
        lost, or the task was cancelled or should stop for another reason.
        """
        self.raise_if_stopped()
        return self.link.renew()


class TaskLogger(logging.LoggerAdapter[logging.Logger]):
    """Adds the task to each line; `extra` of a call comes on top."""

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """Put the task's fields and the call's `extra` together."""
        kwargs["extra"] = {**(self.extra or {}), **kwargs.get("extra", {})}
        return msg, kwargs


current: ContextVar[Context | None] = ContextVar("tidemill_context", default=None)
"""The context of the task that runs here, whether its handler asked for it or not."""
