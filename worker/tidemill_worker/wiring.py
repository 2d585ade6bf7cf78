"""The parts of a worker, and what they tell each other."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from tidemill.app import App
from tidemill.db import Database
from tidemill.models import Finish
from tidemill.notify import Hints
from tidemill.redaction import hide
from tidemill.sdk.resources import Opener
from tidemill.settings import Settings
from tidemill.store import Store
from tidemill.store.strangers import StrangerStore
from tidemill_worker import metrics
from tidemill_worker.dispatcher import Dispatcher, Parts
from tidemill_worker.executor import Surroundings
from tidemill_worker.finisher import Finisher, Telling
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

log = logging.getLogger("tidemill.worker")


class Wiring:
    """Makes the parts of one worker; `Worker` starts and stops them."""

    def __init__(
        self,
        app: App,
        settings: Settings,
        resources: Mapping[Opener, Any] | None,
        *,
        ready: Callable[[], bool],
    ) -> None:
        """Make all and start nothing. Raises ConfigurationError."""
        hide(settings)
        self.moved = asyncio.Event()
        self.failed = asyncio.Event()
        self.marked = False
        """Whether the operator has marked this worker to claim nothing"""
        self.db = Database.of(settings, application="tidemill-worker")
        self.store = Store.of(self.db)
        self.hints = Hints(self.db)
        self.ledger = Ledger()
        self.queues = parse_queues(settings.queues, strict=settings.queue_order == "strict")
        self.registration = self._make_registration(settings)
        self.finisher = self._make_finisher()
        self.processes = Processes(app.tasks.values(), app=settings.app)
        self.surroundings = Surroundings.of(
            app,
            self.ledger,
            given=resources,
            children=self.processes,
            max_result_bytes=settings.max_payload_bytes,
        )
        self.slots = self._make_slots(app, settings)
        self.dispatcher = self._make_dispatcher(settings)
        self.health = Health(self.ledger, ready)
        self.heart = self._make_heart(settings)

    def hear_cancel(self, worker_id: str) -> None:
        """Hear that somebody cancels a task of that worker ('': of any), or has marked it."""
        if worker_id in {"", str(self.registration.worker.id)}:
            self.heart.look_for_cancels()

    def _make_registration(self, settings: Settings) -> Registration:
        return Registration(
            self.store,
            describe(settings, self.queues),
            queues=self.queues,
            lease_seconds=settings.lease_seconds,
            strict=settings.queue_order == "strict",
        )

    def _make_finisher(self) -> Finisher:
        telling = Telling(
            self._room_changed, self.hints.hint, self._is_limited, self._freed, self.failed.set
        )
        return Finisher(self.store.leases, self.ledger, telling)

    def _make_slots(self, app: App, settings: Settings) -> Slots:
        return Slots(
            app.tasks,
            concurrency=settings.concurrency,
            record=self._record,
            lose=self._lose,
            unknown=Strangers(StrangerStore(self.db).returns, app.tasks).end,
            surroundings=self.surroundings,
        )

    def _make_dispatcher(self, settings: Settings) -> Dispatcher:
        prefetch = Prefetch(settings.prefetch)
        return Dispatcher(
            Parts(self.registration, self.ledger, self.slots, self.finisher, prefetch),
            poll_seconds=settings.poll_seconds,
            allowed=lambda: self.heart.beating and not self.marked,
            failed=self.failed.set,
        )

    def _make_heart(self, settings: Settings) -> Heart:
        hearing = Hearing(
            lost=self.slots.lost,
            cancelled=self.slots.cancelled,
            unknown=self.dispatcher.unknown,
            failed=self.failed.set,
            marked=self._mark,
        )
        return Heart(
            settings,
            self.ledger,
            lambda: self.registration.worker,
            hearing,
            self.health,
            links=self.surroundings.links,
        )

    def _mark(self, marked: bool) -> None:
        if marked != self.marked:
            log.info(
                "marked for removal: claiming nothing" if marked else "the mark was taken back"
            )
        self.marked = marked

    def _record(self, run: Run, finish: Finish) -> None:
        metrics.ended(run, finish)
        self.finisher.add(run, finish)

    def _is_limited(self, queue_id: int) -> bool:
        return self.registration.claimer.is_limited(queue_id)

    def _freed(self, queue: str) -> None:
        """A task of a queue with limits has ended: another may run, here or elsewhere."""
        self.dispatcher.hint(queue)
        self.hints.hint(queue)

    def _lose(self, run: Run) -> None:
        metrics.LEASES_LOST.inc()
        log.warning("the lease was lost: the handler is stopped", extra=run.described())
        self.ledger.drop([run])
        self._room_changed()

    def _room_changed(self) -> None:
        self.moved.set()
        self.dispatcher.room_changed()
