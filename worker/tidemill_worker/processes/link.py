"""What a `Context` in a handler process asks of the worker."""

import asyncio
import itertools
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any

from tidemill.errors import TidemillError
from tidemill.sdk.context import DONE, Stopped
from tidemill_worker.processes.wire import Frame

PROGRESS_SECONDS = 0.25
"""A handler that reports its progress at every step sends the latest this often."""


class Renewals:
    """Questions to the worker that wait for their answers."""

    def __init__(self, send: Callable[[Frame], None]) -> None:
        """Ask by `send`."""
        self._send = send
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Future[None]] = {}

    def ask(self, order: int) -> "Future[None]":
        """Ask for the lease of a task to be renewed."""
        number, answer = next(self._numbers), Future[None]()
        self._waiting[number] = answer
        self._send({"is": "renew", "number": number, "order": order})
        return answer

    def answered(self, frame: Frame) -> None:
        """Pass on the worker's answer."""
        answer = self._waiting.pop(frame["number"])
        if frame.get("stopped"):
            answer.set_exception(Stopped(frame["stopped"]))
        elif frame.get("error"):
            answer.set_exception(TidemillError(frame["error"]))
        else:
            answer.set_result(None)


class ToWorker:
    """The link of one task's context.

    `order` tells it from the next one's: a thread that a handler left behind may still use it then.
    """

    def __init__(self, send: Callable[[Frame], None], renewals: Renewals, order: int) -> None:
        """Report and ask by frames."""
        self._send, self._renewals, self._order = send, renewals, order
        self._lock = threading.Lock()
        self._next: dict[str, Any] | None = None
        self._timer: threading.Timer | None = None

    def progress(self, value: dict[str, Any]) -> None:
        """Send `value` now, or when the last one is `PROGRESS_SECONDS` ago."""
        with self._lock:
            if self._timer is not None:
                self._next = value
                return
            self._wait()
        self._send({"is": "progress", "value": value, "order": self._order})

    def renew(self) -> Awaitable[None]:
        """Ask, and wait here unless an event loop runs here."""
        answer = self._renewals.ask(self._order)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            answer.result()
            return DONE
        return asyncio.wrap_future(answer)

    def close(self) -> None:
        """Send nothing more: the task has ended."""
        with self._lock:
            self._next = None
            if self._timer is not None:
                self._timer.cancel()

    def _wait(self) -> None:
        self._timer = threading.Timer(PROGRESS_SECONDS, self._due)
        self._timer.daemon = True
        self._timer.start()

    def _due(self) -> None:
        with self._lock:
            value, self._next, self._timer = self._next, None, None
        if value is not None:
            self.progress(value)
