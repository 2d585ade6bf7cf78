"""A worker, put together: what `tidemill worker` runs, and what a process of your own may embed."""

import asyncio
import logging
import os
import time
from collections.abc import Mapping
from functools import partial
from types import TracebackType
from typing import Any, Self

from tidemill.app import App
from tidemill.db import wait_for_database
from tidemill.maintenance import duties
from tidemill.maintenance.duties import Recoverer
from tidemill.models import WorkerIdentity
from tidemill.notify import CANCEL_CHANNEL, RECOVER_CHANNEL, Listener
from tidemill.schema import wait_for_schema
from tidemill.sdk.resources import Opener
from tidemill.service import Group, Loop
from tidemill.settings import Settings
from tidemill.store.remaining import Remaining, RemainingStore
from tidemill_worker import metrics
from tidemill_worker.advice import undeclared, unknown_queues
from tidemill_worker.burst import Burst
from tidemill_worker.drain import Drained, drain, leave
from tidemill_worker.gauges import Figures
from tidemill_worker.waiting import first_of
from tidemill_worker.wiring import Wiring

log = logging.getLogger("tidemill.worker")


class Worker:
    """Runs the tasks of `app` on the current event loop: `async with Worker(app): …`.

    Leaving the block drains. It takes no signals and leaves logging alone. It works once: after its
    stop make another.
    """

    def __init__(
        self,
        app: App,
        *,
        settings: Settings | None = None,
        resources: Mapping[Opener, Any] | None = None,
    ) -> None:
        """Take `settings`, or the environment's. Raises ConfigurationError; starts nothing.

        `resources` are values to give to handlers in place of what these openers would open.
        """
        self._settings = settings = settings or Settings.load(os.environ)
        self._app = app
        self._parts = Wiring(app, settings, resources, ready=lambda: self.ready)
        self._background = Group([], name="worker")
        self._hurry = asyncio.Event()
        self._stopping = asyncio.Event()
        self._started = False

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Drain and stop."""
        await self.stop()

    @property
    def identity(self) -> WorkerIdentity:
        """The worker's row in the database; after the start only."""
        return self._parts.registration.worker

    @property
    def leases(self) -> int:
        """How many tasks it holds, running or not."""
        return len(self._parts.ledger)

    @property
    def running(self) -> int:
        """How many slots run a task."""
        return self._parts.slots.in_use

    @property
    def finished(self) -> int:
        """How many attempts have ended here so far."""
        return self._parts.slots.finished

    @property
    def claiming(self) -> bool:
        """Whether it claims: its heartbeats work, and it is neither marked nor draining."""
        return self.ready and self._parts.heart.beating

    @property
    def ready(self) -> bool:
        """Whether it has started and is neither draining nor marked to."""
        going = self._started and not self._stopping.is_set() and not self.failed.is_set()
        return going and not self._parts.marked

    @property
    def failed(self) -> asyncio.Event:
        """Set when a part has ended by an error of its own: the worker should be stopped."""
        return self._parts.failed

    @property
    def moved(self) -> asyncio.Event:
        """Set whenever tasks have ended. Who waits for it clears it, looks, and waits."""
        return self._parts.moved

    async def start(self) -> None:
        """Wait for the database and its schema, register, and start claiming.

        Raises DatabaseUnavailable or SchemaMismatch after `database_wait_seconds`,
        DatabaseRefused and ConfigurationError at once; then nothing is left running.
        """
        if self._started:
            raise RuntimeError("a worker works once: make another")
        parts = self._parts
        try:
            await parts.processes.start()
            await self._enter()
            await parts.heart.start()
            await parts.surroundings.resources.start()
            await parts.finisher.start()
            await self._start_background()
        except BaseException:
            if parts.registration.entered:
                await leave(parts.registration, parts.ledger)
            await self._shut_down()
            raise
        metrics.GAUGES.watch(self, self._figures)
        self._started = True
        await parts.dispatcher.start()

    async def stop(self, *, patient: bool = False) -> Drained:
        """Drain, record what there is to record, sign off; return how it went.

        Running tasks get the drain time; with `patient`, also what is left of their timeouts, and
        what has ended waits for the database until it is recorded, or until `hurry()`.
        """
        if not self._started or self._stopping.is_set():
            return Drained(0, 0, 0)
        self._stopping.set()
        parts, seconds = self._parts, self._settings.drain_seconds
        if patient:
            seconds = max(seconds, parts.slots.seconds_left(time.monotonic()))
        drained = await drain(
            parts.dispatcher,
            parts.slots,
            parts.finisher,
            seconds=seconds,
            hurry=self._hurry,
            patient=patient,
        )
        await leave(parts.registration, parts.ledger)
        await self._shut_down()
        return drained

    async def run_until_empty(self, *, due_within: float = 0.0) -> bool:
        """Work until nothing is left in the worker's queues: nothing waits, nothing runs anywhere.

        With `due_within`, nothing is due within so many seconds either: retries, delays. What is
        paused is not waited for. A worker that was not started is started, and stopped at the end.
        Returns False when it was stopped, or failed, before all was done.
        """
        if not self._started:
            async with self:
                return await self.run_until_empty(due_within=due_within)
        if self._stopping.is_set():
            return False
        burst = Burst(
            look=lambda: self._remaining(due_within),
            held=lambda: self.leases,
            moved=self.moved,
            hint=self._parts.dispatcher.hint,
        )
        emptied = asyncio.ensure_future(burst.until_empty())
        await first_of(emptied, self._stopping.wait(), self.failed.wait())
        return not emptied.cancelled() and emptied.result() is None

    def hurry(self) -> None:
        """Cut a drain short: what still runs is given back now."""
        self._hurry.set()

    async def _enter(self) -> None:
        settings, store = self._settings, self._parts.store
        await wait_for_database(self._parts.db, settings.database_wait_seconds)
        await wait_for_schema(self._parts.db, settings.database_wait_seconds)
        app = settings.app or "embedded"
        await store.types.register(self._app.types(), app=app)
        await store.schedules.register(self._app.schedules, app=app)
        await self._parts.registration.enter()
        await self._advise()

    async def _advise(self) -> None:
        """Log what may be a mistake in how this worker was started."""
        parts = self._parts
        if parts.queues is not None:
            known = [each.name for each in await parts.store.queues.list()]
            for misspelt, sentence in unknown_queues(parts.queues, known):
                log.log(logging.WARNING if misspelt else logging.INFO, sentence)
        if app := self._settings.app:  # without a name, others without one would be meant, too
            names = [each.name for each in self._app.schedules]
            for sentence in undeclared(app, names, await parts.store.schedules.list()):
                log.warning(sentence)

    async def _start_background(self) -> None:
        parts, settings = self._parts, self._settings
        listener = Listener(settings, application="tidemill-worker-listener")
        listener.subscribe(parts.dispatcher.hint)
        listener.subscribe(parts.hear_cancel, channel=CANCEL_CHANNEL)
        maintenance = duties(parts.store, settings, parts.hints.hint)
        for each in maintenance:
            if isinstance(each, Recoverer):
                listener.subscribe(partial(_wake, each), channel=RECOVER_CHANNEL)
        self._background = Group([parts.hints, listener, *maintenance], name="worker")
        await self._background.start()

    async def _remaining(self, due_within: float) -> Remaining:
        aside = self._parts.slots.seconds_aside(time.monotonic())
        return await RemainingStore(self._parts.db).look(
            self._parts.queues, types=list(self._app.tasks), due_within=max(due_within, aside)
        )

    def _figures(self) -> Figures:
        parts = self._parts
        return Figures(
            slots=self._settings.concurrency,
            slots_in_use=parts.slots.in_use,
            slots_stuck=parts.slots.stuck,
            tasks_waiting=parts.slots.waiting + parts.slots.waiting_in_lanes,
            leases_held=len(parts.ledger),
            outcomes_waiting=len(parts.finisher),
            claiming=int(self.claiming),
            processes=len(parts.processes),
            loop_blocked_seconds=parts.health.blocked_seconds,
        )

    async def _shut_down(self) -> None:
        parts = self._parts
        metrics.GAUGES.forget(self)
        await parts.dispatcher.stop()
        await self._background.stop()
        await parts.slots.close()
        await parts.processes.close()
        await parts.surroundings.resources.stop()
        await parts.finisher.stop()
        await parts.heart.stop()
        await parts.db.close(seconds=1.0)


def _wake(loop: Loop, _: str) -> None:
    loop.wake()
