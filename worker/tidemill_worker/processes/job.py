"""The tasks of a handler process: one at a time, from the thread that listens to the worker."""

import asyncio
import logging
import os
import time
from typing import TYPE_CHECKING, Any
from uuid import UUID

from tidemill.sdk.context import Context, StopReason
from tidemill_worker.processes.link import Renewals, ToWorker
from tidemill_worker.processes.origin import Definition
from tidemill_worker.processes.wire import Channel, Frame

if TYPE_CHECKING:
    from tidemill_worker.conclude import Ended

log = logging.getLogger("tidemill.worker")


class Job:
    """One task, its handler and its context."""

    def __init__(self, frame: Frame, definition: Definition, link: ToWorker) -> None:
        """Read the frame that brought it."""
        self.definition = definition
        self.payload = frame["payload"]
        self.link = link
        self.context = context_of(frame, link)
        self.task: asyncio.Task[Ended] | None = None
        """What runs its coroutine"""


class Jobs:
    """What arrives from the worker."""

    def __init__(self, channel: Channel, definitions: dict[str, Definition]) -> None:
        """Hear nothing yet."""
        self._channel, self._definitions = channel, definitions
        self._renewals = Renewals(channel.send)
        self._arrived: asyncio.Queue[Job | None] = asyncio.Queue()
        self._latest: Job | None = None

    @property
    def stop_reason(self) -> StopReason | None:
        """Why the latest task should stop."""
        return self._latest.context.stop_reason if self._latest else None

    async def next(self) -> Job | None:
        """Wait for the next task; None when there are no more."""
        return await self._arrived.get()

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hear the worker in this thread, until it says `close` or goes."""
        try:
            while (frame := self._channel.receive()) is not None and frame["is"] != "close":
                self._heard(frame, loop)
        except BaseException:
            # A process that hears nothing would let each of its tasks run into its timeout.
            log.exception("a process for handlers does not understand its worker and ends")
            os._exit(1)
        if frame is None:
            os._exit(0)  # nobody is left to tell
        loop.call_soon_threadsafe(self._arrived.put_nowait, None)

    def _heard(self, frame: Frame, loop: asyncio.AbstractEventLoop) -> None:
        if frame["is"] == "task":
            link = ToWorker(self._channel.send, self._renewals, frame["order"])
            self._latest = Job(frame, self._definitions[frame["context"]["type"]], link)
            loop.call_soon_threadsafe(self._arrived.put_nowait, self._latest)
        elif frame["is"] == "stop":
            self._stop(StopReason(frame["reason"]), loop)
        elif frame["is"] == "renewed":
            self._renewals.answered(frame)

    def _stop(self, reason: StopReason, loop: asyncio.AbstractEventLoop) -> None:
        if self._latest is not None:
            self._latest.context.stop_reason = reason
            loop.call_soon_threadsafe(_cancel, self._latest, str(reason))


def frame_of(context: Context, payload: Any, seconds_left: float) -> Frame:
    """Return the frame that hands a task to a handler process."""
    fields = {
        "id": str(context.id),
        "type": context.type,
        "queue": context.queue,
        "attempt": context.attempt,
        "max_retries": context.max_retries,
        "timeout_seconds": context.timeout_seconds,
        "headers": context.headers,
    }
    return {"is": "task", "context": fields, "payload": payload, "seconds_left": seconds_left}


def context_of(frame: Frame, link: ToWorker) -> Context:
    """Return the context that the frame of a task describes."""
    fields = frame["context"] | {"id": UUID(frame["context"]["id"])}
    deadline = time.monotonic() + frame["seconds_left"]
    return Context(**fields, deadline=deadline, link=link)


def _cancel(job: Job, reason: str) -> None:
    if job.task is not None:
        job.task.cancel(f"the task must stop: {reason}")
