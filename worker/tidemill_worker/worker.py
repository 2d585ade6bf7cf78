"""A worker, put together: what `tidemill worker` runs, and what a process of your own may embed."""

import asyncio
import logging
import os
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from tidemill.app import App
from tidemill.db import Database, wait_for_database
from tidemill.maintenance import duties
from tidemill.models import Finish, WorkerIdentity
from tidemill.notify import CANCEL_CHANNEL, Hints, Listener
from tidemill.schema import wait_for_schema
from tidemill.sdk.resources import Opener
from tidemill.service import Group
from tidemill.settings import Settings
from tidemill.store import Store
from tidemill.store.remaining import RemainingStore
from tidemill.store.strangers import StrangerStore
from tidemill_worker import metrics
from tidemill_worker.burst import Burst
from tidemill_worker.dispatcher import Dispatcher, Parts
from tidemill_worker.drain import Drained, drain, leave
from tidemill_worker.executor import Surroundings
from tidemill_worker.finisher import Finisher, Telling
from tidemill_worker.gauges import Figures
from tidemill_worker.heart import Hearing, Heart
from tidemill_worker.identity import describe
from tidemill_worker.ledger import Ledger
from tidemill_worker.prefetch import Prefetch
from tidemill_worker.probes import Health
from tidemill_worker.processes.pool import Processes
from tidemill_worker.queues import parse_queues
from tidemill_worker.registration import Registration
from tidemill_worker.run import Run
from tidemill_worker.slots import Slots
from tidemill_worker.strangers import Strangers
from tidemill_worker.waiting import first_of

log = logging.getLogger("tidemill.worker")


class Worker:
    """Runs the tasks of `app` on the current event loop: `async with Worker(app): …`.

    Leaving the block drains. It takes no signals and leaves logging alone.
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
        self._db = Database.of(settings, application="tidemill-worker")
        store = self._store = Store.of(self._db)
        strict = settings.queue_order == "strict"
        queues = self._queues = parse_queues(settings.queues, strict=strict)
        self._ledger = Ledger()
        self._registration = Registration(
            store,
            describe(settings, queues),
            queues=queues,
            lease_seconds=settings.lease_seconds,
            strict=strict,
        )
        self._prefetch = Prefetch(settings.prefetch)
        self._hints = Hints(self._db)
        self._finisher = Finisher(
            store.leases,
            self._ledger,
            Telling(
                self._room_changed, self._hints.hint, self._is_limited, self._freed, self._fail
            ),
        )
        self._processes = Processes(app.tasks.values(), app=settings.app)
        self._surroundings = Surroundings.of(
            app, self._ledger, given=resources, children=self._processes
        )
        self._slots = Slots(
            app.tasks,
            concurrency=settings.concurrency,
            record=self._record,
            lose=self._lose,
            unknown=Strangers(StrangerStore(self._db).returns).end,
            surroundings=self._surroundings,
        )
        self._dispatcher = Dispatcher(
            Parts(self._registration, self._ledger, self._slots, self._finisher, self._prefetch),
            poll_seconds=settings.poll_seconds,
            allowed=self._may_claim,
            failed=self._fail,
        )
        self._health = Health(self._ledger, lambda: self.ready)
        self._heart = self._make_heart()
        self._background = Group([], name="worker")
        self._hurry = asyncio.Event()
        self._stopping = asyncio.Event()
        self.moved = asyncio.Event()
        """Set whenever tasks have ended. Who waits for it clears it, looks, and waits"""
        self.failed = asyncio.Event()
        """Set when a part has ended by an error of its own: the worker should be stopped"""
        self._started = self._draining = self._marked = False

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
        return self._registration.worker

    @property
    def leases(self) -> int:
        """How many tasks it holds, running or not."""
        return len(self._ledger)

    @property
    def running(self) -> int:
        """How many slots run a task."""
        return self._slots.in_use

    @property
    def finished(self) -> int:
        """How many attempts have ended here so far."""
        return self._slots.finished

    @property
    def claiming(self) -> bool:
        """Whether it claims: its heartbeats work, and it is neither marked nor draining."""
        return self.ready and self._heart.beating

    @property
    def ready(self) -> bool:
        """Whether it has started and is neither draining nor marked to."""
        going = self._started and not self._draining and not self.failed.is_set()
        return going and not self._marked

    async def start(self) -> None:
        """Wait for the database and its schema, register, and start claiming.

        Raises DatabaseUnavailable or SchemaMismatch after `database_wait_seconds`,
        DatabaseRefused and ConfigurationError at once; then nothing is left running.
        """
        try:
            await self._processes.start()
            await self._enter()
            await self._heart.start()
            await self._surroundings.resources.start()
            await self._finisher.start()
            listener = Listener(self._settings, application="tidemill-worker-listener")
            listener.subscribe(self._dispatcher.hint)
            listener.subscribe(self._hear_cancel, channel=CANCEL_CHANNEL)
            self._background = Group(
                [self._hints, listener, *duties(self._store, self._settings, self._hints.hint)]
            )
            await self._background.start()
        except BaseException:
            if self._registration.entered:
                await leave(self._registration, self._ledger)
            await self._shut_down()
            raise
        metrics.GAUGES.watch(self, self._figures)
        self._started = True
        await self._dispatcher.start()

    async def stop(self, *, patient: bool = False) -> Drained:
        """Drain, record what there is to record, sign off; return how it went.

        Running tasks get the drain time; with `patient`, also what is left of their timeouts.
        """
        if not self._started or self._draining:
            return Drained(0, 0, 0)
        self._draining = True
        self._stopping.set()
        seconds = self._settings.drain_seconds
        if patient:
            seconds = max(seconds, self._slots.seconds_left(time.monotonic()))
        drained = await drain(
            self._dispatcher,
            self._slots,
            self._finisher,
            seconds=seconds,
            hurry=self._hurry,
        )
        await leave(self._registration, self._ledger)
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
        store, types = RemainingStore(self._db), list(self._app.tasks)
        burst = Burst(
            look=lambda: store.look(
                self._queues,
                types=types,
                due_within=max(due_within, self._slots.seconds_aside(time.monotonic())),
            ),
            held=lambda: self.leases,
            moved=self.moved,
            hint=self._dispatcher.hint,
        )
        emptied = asyncio.ensure_future(burst.until_empty())
        await first_of(emptied, self._stopping.wait(), self.failed.wait())
        return not emptied.cancelled() and emptied.result() is None

    def hurry(self) -> None:
        """Cut a drain short: what still runs is given back now."""
        self._hurry.set()

    async def _enter(self) -> None:
        seconds = self._settings.database_wait_seconds
        await wait_for_database(self._db, seconds)
        await wait_for_schema(self._db, seconds)
        app = self._settings.app or "embedded"
        await self._store.types.register(self._app.types(), app=app)
        await self._store.schedules.register(self._app.schedules, app=app)
        await self._registration.enter()

    def _figures(self) -> Figures:
        return Figures(
            slots=self._settings.concurrency,
            slots_in_use=self._slots.in_use,
            slots_stuck=self._slots.stuck,
            tasks_waiting=self._slots.waiting + self._slots.waiting_in_lanes,
            leases_held=len(self._ledger),
            outcomes_waiting=len(self._finisher),
            claiming=int(self.claiming),
            processes=len(self._processes),
            loop_blocked_seconds=self._health.blocked_seconds,
        )

    async def _shut_down(self) -> None:
        metrics.GAUGES.forget(self)
        await self._dispatcher.stop()
        await self._background.stop()
        await self._slots.close()
        await self._processes.close()
        await self._surroundings.resources.stop()
        await self._finisher.stop()
        await self._heart.stop()
        await self._db.close(seconds=1.0)

    def _make_heart(self) -> Heart:
        hearing = Hearing(
            lost=self._slots.lost,
            cancelled=self._slots.cancelled,
            unknown=self._dispatcher.unknown,
            failed=self._fail,
            marked=self._mark,
        )
        return Heart(
            self._settings,
            self._ledger,
            lambda: self._registration.worker,
            hearing,
            self._health,
            links=self._surroundings.links,
        )

    def _may_claim(self) -> bool:
        return self._heart.beating and not self._marked

    def _mark(self, marked: bool) -> None:
        if marked != self._marked:
            log.info(
                "marked for removal: claiming nothing" if marked else "the mark was taken back"
            )
        self._marked = marked

    def _hear_cancel(self, worker_id: str) -> None:
        if worker_id in {"", str(self.identity.id)}:
            self._heart.look_for_cancels()

    def _record(self, run: Run, finish: Finish) -> None:
        metrics.ended(run, finish)
        self._finisher.add(run, finish)

    def _is_limited(self, queue_id: int) -> bool:
        return self._registration.claimer.is_limited(queue_id)

    def _freed(self, queue: str) -> None:
        """A task of a queue with limits has ended: another may run, here or elsewhere."""
        self._dispatcher.hint(queue)
        self._hints.hint(queue)

    def _fail(self) -> None:
        self.failed.set()

    def _lose(self, run: Run) -> None:
        metrics.LEASES_LOST.inc()
        log.warning("the lease was lost: the handler is stopped", extra=run.described())
        self._ledger.drop([run])
        self._room_changed()

    def _room_changed(self) -> None:
        self.moved.set()
        self._dispatcher.room_changed()
