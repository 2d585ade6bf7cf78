"""The start/stop contract that every background part follows.

`start()` returns when the part is running, or raises and leaves nothing running. `stop()` asks it
to end and returns when it has; it may be called twice, or before `start`, and never raises. `Group`
starts parts in order and stops them in reverse.
"""

import asyncio
import logging
import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Self

from tidemill import metrics
from tidemill.errors import TidemillError

log = logging.getLogger(__name__)

JITTER = 0.25
"""Intervals vary by ± this share, so that processes started together don't act together."""

_LONGEST_BACKOFF_SECONDS = 30.0


class Service(ABC):
    """A part that runs in the background."""

    name: str = "service"

    @abstractmethod
    async def start(self) -> None:
        """Return once running. Raises when it cannot run."""

    @abstractmethod
    async def stop(self) -> None:
        """End it and return when it has ended. Never raises; harmless twice."""

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()


class Loop(Service):
    """Calls `run_once` every `interval` seconds (± 25 %), and at once after `wake()`.

    An error of a run is logged and counted, and the next run comes later (doubling, to 30 s): a
    loop outlives whatever is wrong with the database.
    """

    JITTER: ClassVar[float] = JITTER

    def __init__(self, name: str, interval: float) -> None:
        """Keep the name for logs and the interval in seconds."""
        self.name = name
        self.interval = interval
        self._wake = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._failures = 0

    @abstractmethod
    async def run_once(self) -> int:
        """Do the work once and return how much was done; more than 0 asks to be run again soon."""

    def wake(self) -> None:
        """Run soon, without waiting for the interval."""
        self._wake.set()

    async def start(self) -> None:
        """Start the loop; its first run begins at once."""
        if self._task is None or self._task.done():
            self._stopping = False
            self._task = asyncio.create_task(self._run(), name=self.name)

    async def stop(self) -> None:
        """Let the run in progress end (5 s at most) and stop."""
        self._stopping = True
        self._wake.set()
        task = self._task
        if task is None:
            return
        _, pending = await asyncio.wait([task], timeout=5.0)
        for each in pending:
            each.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if self._task is task:  # kept until now: a second stop waits for the end too
            self._task = None

    async def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            pause = await self._guarded_run()
            if self._stopping:
                return
            try:
                await asyncio.wait_for(self._wake.wait(), pause)
            except TimeoutError:
                continue

    async def _guarded_run(self) -> float:
        """Run once and return how long to wait for the next."""
        try:
            done = await self.run_once()
        except TidemillError as error:
            self._count_failure()
            # the first of a row is worth a line; the rest say the same
            log.log(
                logging.WARNING if self._failures == 1 else logging.DEBUG,
                "%s: %s",
                self.name,
                error,
            )
        except Exception:
            self._count_failure()
            log.exception("%s failed", self.name)
        else:
            if self._failures:
                log.info("%s: works again after %d failed runs", self.name, self._failures)
            self._failures = 0
            return 0.0 if done else self._spread(self.interval)
        first = min(1.0, max(0.1, self.interval))
        backoff = min(_LONGEST_BACKOFF_SECONDS, first * 2 ** min(self._failures, 10))
        return self._spread(backoff)

    def _count_failure(self) -> None:
        self._failures += 1
        metrics.LOOP_FAILURES.labels(self.name).inc()

    def _spread(self, seconds: float) -> float:
        return seconds * (1 + random.uniform(-self.JITTER, self.JITTER))


class Group(Service):
    """Parts that live together."""

    def __init__(self, parts: Sequence[Service], name: str = "group") -> None:
        """Keep the parts in the order of their starts."""
        self.name = name
        self._parts = list(parts)
        self._started: list[Service] = []

    async def start(self) -> None:
        """Start all in order; if one cannot, stop the started ones and raise its error."""
        for part in self._parts:
            try:
                await part.start()
            except BaseException:
                await self.stop()
                raise
            self._started.append(part)

    async def stop(self) -> None:
        """Stop all in reverse order."""
        while self._started:
            part = self._started.pop()
            try:
                await part.stop()
            except Exception:
                log.exception("%s did not stop cleanly", part.name)
