"""One life of a worker in its process: from the start until something says that it is over.

That is a signal, a part that failed, a limit that is reached, or, in a burst, an empty queue.
"""

import asyncio
import logging
import signal
from enum import Enum, auto

from tidemill.app import App
from tidemill.settings import Settings
from tidemill_worker import recycles
from tidemill_worker.drain import Drained
from tidemill_worker.recycling import LOOK_SECONDS, STOP_SIGNALS, Limits, keep_signals
from tidemill_worker.waiting import first_of
from tidemill_worker.worker import Worker

HEARD_SECONDS = 0.01
"""In which the loop hears of a signal that came before the next ones were kept."""

log = logging.getLogger("tidemill.worker")


class Ending(Enum):
    """How it ended."""

    STOPPED = auto()
    """By a signal"""
    DONE = auto()
    """Nothing was left to do"""
    RECYCLED = auto()
    """At a limit: the process is to start anew"""
    UNCLEAN = auto()
    """A part failed, or outcomes could not be recorded"""


async def work(app: App, settings: Settings, limits: Limits, *, burst: bool) -> Ending:
    """Run the worker of `app`, taking the process's signals; return why it is over.

    After RECYCLED, signals that come are kept. Raises what making and starting a worker raises.
    """
    return await _Shift(app, settings, limits, burst=burst).work()


class _Shift:
    def __init__(self, app: App, settings: Settings, limits: Limits, *, burst: bool) -> None:
        self._app = app
        self._settings = settings
        self._limits = limits
        self._burst = burst
        self._worker = Worker(app, settings=settings)
        self._signalled = asyncio.Event()

    async def work(self) -> Ending:
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self._on_signal, number)
        if not await self._started():
            return Ending.STOPPED
        settings = self._settings
        names = ", ".join(self._app.tasks)
        log.info("working on %s with %d slots: %s", settings.queues, settings.concurrency, names)
        ending = await self._over()
        drained = await self._drained(patient=ending is Ending.RECYCLED)
        log.info(
            "stopped: %d tasks given back unstarted, %d stopped, %d not recorded",
            drained.returned,
            drained.cancelled,
            drained.unrecorded,
        )
        if self._worker.failed.is_set() or drained.unrecorded:
            return Ending.UNCLEAN
        if ending is Ending.RECYCLED:
            keep_signals()
            await asyncio.sleep(HEARD_SECONDS)
        return Ending.STOPPED if self._signalled.is_set() else ending

    async def _over(self) -> Ending:
        """Wait until it is over."""
        worker = self._worker
        limit = asyncio.ensure_future(self._limit())
        emptied = asyncio.ensure_future(self._emptied())
        await first_of(self._signalled.wait(), worker.failed.wait(), limit, emptied)
        if self._signalled.is_set() or worker.failed.is_set():
            return Ending.STOPPED
        if not emptied.cancelled() and emptied.result():
            log.info("nothing is left to do")
            return Ending.DONE
        log.info("starting anew: %s", limit.result())
        recycles.note("tasks" if self._limits.exceeded(worker.finished, 0.0) else "memory")
        return Ending.RECYCLED

    async def _limit(self) -> str:
        """Wait until a limit is reached, and the database is there: a fresh process needs it."""
        worker = self._worker
        reason = await self._limits.reached(lambda: worker.finished, worker.moved)
        while not worker.claiming:  # noqa: ASYNC110 - the heart's thread knows, and sets no event
            await asyncio.sleep(LOOK_SECONDS)
        return reason

    async def _emptied(self) -> bool:
        if not self._burst:
            await asyncio.Event().wait()
        return await self._worker.run_until_empty(due_within=self._settings.burst_due_seconds)

    async def _drained(self, *, patient: bool) -> Drained:
        stopping = asyncio.create_task(self._worker.stop(patient=patient))
        if patient:
            told = (self._signalled.wait(), self._worker.failed.wait())
            await first_of(asyncio.shield(stopping), *told)
            await first_of(asyncio.shield(stopping), asyncio.sleep(self._settings.drain_seconds))
            self._worker.hurry()
        return await stopping

    def _on_signal(self, number: signal.Signals) -> None:
        if self._signalled.is_set():
            log.warning("%s again: giving back what still runs", number.name)
            self._worker.hurry()
        else:
            log.info("%s: draining, up to %g s", number.name, self._settings.drain_seconds)
        self._signalled.set()

    async def _started(self) -> bool:
        """Start the worker; False when a signal came first (the database may be long away)."""
        starting = asyncio.create_task(self._worker.start())
        await first_of(asyncio.shield(starting), self._signalled.wait())
        if not starting.done():
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            return False
        await starting
        return True
