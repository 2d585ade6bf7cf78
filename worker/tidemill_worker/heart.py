"""Keeps leases alive from a thread, an event loop and a connection of its own.

A handler that blocks the worker's loop stops everything but this thread, so it loses no lease; past
its timeout its lease is no longer extended, and the task runs again elsewhere. While heartbeats
fail, `beating` is False and the dispatcher claims nothing.
"""

import asyncio
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from tidemill.db import Database
from tidemill.errors import TidemillError
from tidemill.models import Extension, WorkerIdentity
from tidemill.service import Service
from tidemill.settings import Settings
from tidemill.store import Store
from tidemill_worker import metrics
from tidemill_worker.backoff import Backoff
from tidemill_worker.ledger import Ledger
from tidemill_worker.links import Links
from tidemill_worker.probes import Health, Probes
from tidemill_worker.run import Run

BATCH = 1000
MARGIN_SHARE = 0.1
"""A worker believes in its leases for this share less than they last."""
TIMEOUT_GRACE_SECONDS = 5.0
"""How long past its timeout a lease is still extended: time to stop the handler and record it."""

ANSWER_SECONDS = 0.1
"""How long to wait for the answer to a claim whose tasks were asked to cancel before it came."""

STOP_SECONDS = 1.5

log = logging.getLogger("tidemill.worker")


@dataclass(frozen=True, slots=True)
class Hearing:
    """What the heart tells the worker; all are called on the worker's loop."""

    lost: Callable[[Run], None]
    cancelled: Callable[[Run], None]
    unknown: Callable[[], None]
    """The database does not know this worker any more."""
    failed: Callable[[], None]
    """The heart's thread has ended by an error."""
    marked: Callable[[bool], None]
    """Whether the operator has marked this worker to claim nothing (draining)."""


def lease_until(sent_at: float, lease_seconds: float) -> float:
    """Return until when to believe in a lease that a statement sent at `sent_at` gave."""
    return sent_at + lease_seconds * (1 - MARGIN_SHARE)


class Heart(Service):
    """Beats every `heartbeat_seconds`, more often when a lease is short."""

    name = "heart"

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        worker: Callable[[], WorkerIdentity],
        hearing: Hearing,
        health: Health,
        *,
        links: Links | None = None,
    ) -> None:
        """Beat for the leases of `ledger` and for `worker()`; do what `links` ask for."""
        self._settings = settings
        self._ledger = ledger
        self._worker = worker
        self._hearing = hearing
        self._health = health
        self._links = links or Links(ledger)
        self._links.rouse = self._rouse
        self._thread: threading.Thread | None = None
        self._ended = asyncio.Event()
        self._wake: asyncio.Event | None = None
        self._stopping = False
        self._cancels = False
        self._marks = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._beaten_at = time.monotonic()
        self._failing = False

    @property
    def beating(self) -> bool:
        """Whether the last heartbeat worked and was lately enough to claim more leases."""
        late = time.monotonic() - self._beaten_at > self._settings.lease_seconds / 2
        return not (self._failing or late)

    async def start(self) -> None:
        """Start the thread; return when its probes answer. Raises ConfigurationError."""
        if self._thread is not None:
            return
        self._beaten_at, self._stopping = time.monotonic(), False
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._thread = threading.Thread(
            target=self._serve,
            args=(asyncio.get_running_loop(), ready),
            name="tidemill-heart",
            daemon=True,
        )
        self._thread.start()
        await ready

    async def stop(self) -> None:
        """Stop beating and end the thread."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._stopping = True
        self._rouse()
        try:
            await asyncio.wait_for(self._ended.wait(), STOP_SECONDS)
        except TimeoutError:
            log.warning("the heart does not stop: its thread is left behind")

    def look_for_cancels(self) -> None:
        """Ask the database now, not at the next heartbeat, which tasks to cancel, and for marks."""
        self._cancels = self._marks = True
        self._rouse()

    def _rouse(self) -> None:
        if self._loop is not None and self._wake is not None and not self._ended.is_set():
            with suppress(RuntimeError):  # its loop has just gone
                self._loop.call_soon_threadsafe(self._wake.set)

    def _serve(self, home: asyncio.AbstractEventLoop, ready: "asyncio.Future[None]") -> None:
        try:
            asyncio.run(self._live(home, ready))
        except Exception:
            log.exception("the heart stopped: leases are no longer extended, the worker ends")
            self._failing = True
            _tell(home, self._hearing.failed)
        finally:
            self._links.close()
            _tell(home, self._ended.set)

    async def _live(self, home: asyncio.AbstractEventLoop, ready: "asyncio.Future[None]") -> None:
        self._loop, self._wake = asyncio.get_running_loop(), asyncio.Event()
        probes = Probes(self._settings, self._health)
        try:
            await probes.start()
        except TidemillError as error:
            home.call_soon_threadsafe(ready.set_exception, error)
            return
        _tell(home, lambda: None if ready.done() else ready.set_result(None))
        database = Database.of(self._settings, application="tidemill-heart", pool_size=1)
        try:
            await self._beat_until_stopped(Store.of(database), home, self._wake)
        finally:
            await probes.stop()
            await database.close()

    async def _beat_until_stopped(
        self, store: Store, home: asyncio.AbstractEventLoop, wake: asyncio.Event
    ) -> None:
        backoff = Backoff(longest_seconds=1.0)
        # A worker whose loop is gone can finish nothing: its leases must expire.
        while not (self._stopping or home.is_closed()):
            wake.clear()
            self._health.turned(home)
            self._links.asked(time.monotonic())  # whatever ails the database: some need not wait
            if not await self._beaten(store, home, backoff):
                await backoff.pause()
            elif not self._stopping:
                await _either(wake, self._pause())

    async def _beaten(
        self, store: Store, home: asyncio.AbstractEventLoop, backoff: Backoff
    ) -> bool:
        """Beat once; return whether it worked."""
        try:
            async with asyncio.timeout(max(1.0, self._interval())):
                await self._beat(store, home)
        except Exception as error:
            if not isinstance(error, TidemillError | TimeoutError):
                log.exception("a heartbeat failed")
            self._failing = True
            metrics.HEARTBEATS.labels("failed").inc()
            metrics.DATABASE_ERRORS.labels("heartbeat").inc()
            backoff.log(log, "heartbeats fail, nothing is claimed meanwhile", error)
            return False
        self._failing = False
        backoff.reset()
        return True

    def _interval(self) -> float:
        lease = min(self._settings.lease_seconds, self._ledger.shortest_lease)
        return min(self._settings.heartbeat_seconds, lease / 3)

    def _pause(self) -> float:
        """A short lease may be claimed at any time: look every second at least."""
        return ANSWER_SECONDS if self._cancels else min(1.0, self._interval())

    async def _beat(self, store: Store, home: asyncio.AbstractEventLoop) -> None:
        now = time.monotonic()
        if self._cancels:
            await self._find_cancels(store, home)
        for lease_seconds, runs in self._due(now).items():
            for start in range(0, len(runs), BATCH):
                await self._extend(store, home, runs[start : start + BATCH], lease_seconds)
        if self._marks or now - self._beaten_at >= self._interval() or self._failing:
            self._marks = False  # asked for again while we ask: it is asked again
            state = await store.workers.heartbeat(self._worker())
            metrics.HEARTBEATS.labels("ok").inc()
            self._beaten_at = now
            home.call_soon_threadsafe(self._hearing.marked, state.draining)
            if not state.known:
                home.call_soon_threadsafe(self._hearing.unknown)
        await self._links.write(store.leases)

    async def _find_cancels(self, store: Store, home: asyncio.AbstractEventLoop) -> None:
        self._cancels = False
        try:
            leases = await store.workers.cancel_requested(self._worker())
        except BaseException:
            self._cancels = True
            raise
        found = self._ledger.find(leases)
        for run in found.values():
            home.call_soon_threadsafe(self._hearing.cancelled, run)
        if len(found) < len(leases):
            self._cancels = True  # claimed a moment ago: the claim's answer is on its way to us

    def _due(self, now: float) -> dict[float, list[Run]]:
        """Return the runs to extend now, by their lease's length."""
        due: dict[float, list[Run]] = defaultdict(list)
        if self._health.sick():
            return due  # what waits behind a handler that blocks the loop had better run elsewhere
        asked = self._links.asked(now)
        for run in self._ledger.runs():
            lease = run.task.lease_seconds
            beat = min(self._settings.heartbeat_seconds, lease / 3)
            claimed_lately = run.lease_until - now > lease * (1 - MARGIN_SHARE) - beat
            hung = not run.concluded and now > run.timeout_at + TIMEOUT_GRACE_SECONDS
            if run in asked or not (claimed_lately or hung):
                due[lease].append(run)
        return due

    async def _extend(
        self,
        store: Store,
        home: asyncio.AbstractEventLoop,
        runs: list[Run],
        lease_seconds: float,
    ) -> None:
        by_lease = {run.task.lease: run for run in runs}
        sent_at = time.monotonic()
        answers = await store.leases.extend(list(by_lease), lease_seconds)
        metrics.LEASES_EXTENDED.inc(sum(answer.held for answer in answers))
        for answer in answers:
            self._note(answer, by_lease[answer.lease], lease_until(sent_at, lease_seconds), home)

    def _note(
        self, answer: Extension, run: Run, until: float, home: asyncio.AbstractEventLoop
    ) -> None:
        if not answer.held:
            home.call_soon_threadsafe(self._hearing.lost, run)
            self._links.answer(answer.lease, "the lease is lost")
            return
        run.lease_until = until
        if answer.cancel_requested:
            home.call_soon_threadsafe(self._hearing.cancelled, run)
            self._links.answer(answer.lease, "the task was cancelled")
        self._links.answer(answer.lease)


def _tell(home: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
    """Call on the worker's loop, unless that has gone."""
    if not home.is_closed():
        home.call_soon_threadsafe(call)


async def _either(event: asyncio.Event, seconds: float) -> None:
    """Wait for `event`, or for `seconds`."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return
