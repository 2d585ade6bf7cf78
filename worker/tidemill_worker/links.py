"""What handlers tell and ask through their `Context`: kept for the heart, which talks to Postgres.

The heart's thread has a connection of its own and turns whatever the handlers do to the worker's
loop, so a handler that blocks the loop still gets its progress shown and its lease renewed.
Progress is kept by lease, the latest value only, and written for all in one statement.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from typing import Any, Protocol

from tidemill.jsontext import dumps
from tidemill.models import ClaimedTask, Lease
from tidemill.sdk.context import DONE
from tidemill_worker.conclude import Unheld
from tidemill_worker.ledger import Ledger
from tidemill_worker.run import Run

WRITE_SECONDS = 1.0
"""How often progress is written, at most."""
TEXT_CHARACTERS = 500
"""A longer message of a progress is cut."""

log = logging.getLogger("tidemill.worker")


class Progress(Protocol):
    """What is needed of the lease store."""

    async def progress(self, values: Mapping[Lease, str]) -> None:
        """Note how far these tasks have come, if their leases are still held."""
        ...


def _nobody() -> None:
    """Rouse nobody: there is no heart yet."""


class Links:
    """Every handler's link to the heart."""

    def __init__(self, ledger: Ledger) -> None:
        """Speak of the leases in `ledger`."""
        self._ledger = ledger
        self._lock = threading.Lock()
        self._progress: dict[Lease, dict[str, Any]] = {}
        self._asked: dict[Lease, list[Future[None]]] = {}
        self._written_at = float("-inf")
        self._closed = False
        self.rouse: Callable[[], None] = _nobody
        """Called, on any thread, when the heart should turn now"""

    def of(self, task: ClaimedTask) -> "TaskLink":
        """Return the link of a task's context."""
        return TaskLink(self, task)

    def note(self, lease: Lease, value: dict[str, Any]) -> None:
        """Keep progress until it is written."""
        with self._lock:
            self._progress[lease] = value

    def ask(self, lease: Lease) -> "Future[None]":
        """Ask for the lease's renewal; the future says that it is held, or raises Stopped."""
        answer: Future[None] = Future()
        with self._lock:
            self._asked.setdefault(lease, []).append(answer)
        if self._closed:
            self.answer(lease, "the worker ends")
        else:
            self.rouse()
        return answer

    def asked(self, now: float) -> set[Run]:
        """Return the runs to renew now. Those that should stop by now get their answer."""
        if not self._asked:
            return set()
        with self._lock:
            leases = list(self._asked)
        held = self._ledger.find(leases)
        for lease in leases:
            run = held.get(lease)
            if run is None or now > run.lease_until:
                self.answer(lease, "the lease is lost")
            elif run.stop_reason is not None:
                self.answer(lease, f"the task must stop: {run.stop_reason}")
        return {run for lease, run in held.items() if lease in self._asked}

    def answer(self, lease: Lease, stopped: str | None = None) -> None:
        """Answer who asked for this lease: it is held, or they must stop."""
        if not self._asked:
            return
        with self._lock:
            answers = self._asked.pop(lease, ())
        for answer in answers:
            if not answer.set_running_or_notify_cancel():
                continue  # who asked has gone
            if stopped is None:
                answer.set_result(None)
            else:
                answer.set_exception(Unheld(stopped))

    def close(self) -> None:
        """Answer whoever still asks: nothing will be renewed any more."""
        self._closed = True
        with self._lock:
            leases = list(self._asked)
        for lease in leases:
            self.answer(lease, "the worker ends")

    async def write(self, store: Progress) -> None:
        """Write what is new, if the last time was long enough ago."""
        now = time.monotonic()
        if not self._progress or now - self._written_at < WRITE_SECONDS:
            return
        self._written_at = now
        with self._lock:
            values, self._progress = self._progress, {}
        encoded = {lease: _encoded(values[lease]) for lease in self._ledger.find(values)}
        written = False
        try:
            await store.progress({lease: text for lease, text in encoded.items() if text})
            written = True
        finally:
            if not written:
                with self._lock:
                    self._progress = {**values, **self._progress}


class TaskLink:
    """The link of one run's context."""

    __slots__ = ("_links", "_task")

    def __init__(self, links: Links, task: ClaimedTask) -> None:
        """Speak for `task`."""
        self._links, self._task = links, task

    def progress(self, value: dict[str, Any]) -> None:
        """Note how far the task has come."""
        self._links.note(self._task.lease, value)

    def renew(self) -> Awaitable[None]:
        """Renew the lease: see `tidemill.sdk.context.Link`."""
        answer = self._links.ask(self._task.lease)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # a plain function in its thread
            answer.result()
            return DONE
        return asyncio.wrap_future(answer, loop=loop)


def _encoded(value: dict[str, Any]) -> str | None:
    shown = {
        name: each[:TEXT_CHARACTERS] if isinstance(each, str) else each
        for name, each in value.items()
    }
    try:
        return dumps(shown)
    except (ValueError, TypeError) as error:
        log.warning("progress %r cannot be stored: %s", value, error)
        return None
