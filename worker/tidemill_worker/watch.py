"""Stops handlers that run past their timeout, and records their end if they will not stop."""

import asyncio
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from tidemill.sdk.context import StopReason
from tidemill_worker.run import Run

TICK_SECONDS = 0.05
STOP_GRACE_SECONDS = 1.0
"""How long a handler that was told to stop may take to end before its attempt is recorded without
it. A function in a thread gets it only when its task was cancelled."""


class Watch:
    """Looks at the runs that wait for something, 20 times a second while there are any.

    One look at all of them instead of a timer for each: most handlers never wait.
    `abandon` is called with a run whose attempt must be recorded although its handler still runs.
    """

    def __init__(self, abandon: Callable[[Run], None]) -> None:
        """Watch nothing yet."""
        self._abandon = abandon
        self._runs: set[Run] = set()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """Return how many runs are watched."""
        return len(self._runs)

    @property
    def runs(self) -> list[Run]:
        """The runs whose handler waits, or runs in a thread."""
        return list(self._runs)

    @contextmanager
    def over(self, run: Run) -> Generator[None]:
        """Watch a run whose end the current asyncio task awaits."""
        run.runner = asyncio.current_task()
        self._runs.add(run)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TICK_SECONDS, self._look)
        try:
            yield
        finally:
            self._runs.discard(run)
            run.runner = None

    def close(self) -> None:
        """Stop watching."""
        self._runs.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        now = time.monotonic()
        for run in self.runs:
            if now >= run.timeout_at:
                run.stop(StopReason.TIMEOUT)
            if not run.concluded and now >= run.stopped_at + _grace(run):
                self._abandon(run)
        if self._runs:
            self._timer = asyncio.get_running_loop().call_later(TICK_SECONDS, self._look)


def _grace(run: Run) -> float:
    patient = not run.in_thread or run.stop_reason is StopReason.CANCELLED
    return STOP_GRACE_SECONDS if patient else 0.0
