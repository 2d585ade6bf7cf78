"""A worker process: the app, the signals, the exit code.

SIGTERM and SIGINT drain; a second one gives up at once what still runs.
"""

import asyncio
import gc
import logging
import os
import signal
import sys
import threading

from tidemill.app import App, load_app
from tidemill.errors import ConfigurationError
from tidemill.settings import Settings
from tidemill_worker.drain import Drained
from tidemill_worker.worker import Worker

EXIT_CLEAN = 0
EXIT_UNCLEAN = 1
"""Some leases could not be handed over (the database was away); they expire by themselves."""

log = logging.getLogger("tidemill.worker")


def run(settings: Settings) -> int:
    """Run the worker of `settings.app` until a signal ends it; return the exit code.

    Raises ConfigurationError, DatabaseUnavailable, DatabaseRefused or SchemaMismatch when it
    cannot start. Logging is the caller's to configure.
    """
    if not settings.app:
        raise ConfigurationError("TIDEMILL_APP must name the app to run: module:attribute")
    app = load_app(settings.app)
    if not app.tasks:
        raise ConfigurationError(f"app {settings.app}: must have at least one task")
    # What is loaded by now stays: spare every collection the walk through it.
    gc.collect()
    gc.freeze()
    runner = asyncio.Runner()
    drained = runner.run(_work(app, settings))
    code = EXIT_CLEAN if drained.clean else EXIT_UNCLEAN
    _leave_hung_threads(code)
    runner.close()
    return code


async def _work(app: App, settings: Settings) -> Drained:
    worker = Worker(app, settings=settings)
    signalled = asyncio.Event()

    def on_signal(number: signal.Signals) -> None:
        if signalled.is_set():
            log.warning("%s again: giving back what still runs", number.name)
            worker.hurry()
        else:
            log.info("%s: draining, up to %g s", number.name, settings.drain_seconds)
        signalled.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    if not await _started(worker, signalled):
        return Drained(0, 0, 0)
    names = ", ".join(app.tasks)
    log.info("working on %s with %d slots: %s", settings.queues, settings.concurrency, names)
    await signalled.wait()
    drained = await worker.stop()
    log.info(
        "stopped: %d tasks given back unstarted, %d stopped, %d not recorded",
        drained.returned,
        drained.cancelled,
        drained.unrecorded,
    )
    return drained


async def _started(worker: Worker, signalled: asyncio.Event) -> bool:
    """Start `worker`; False when a signal came first (it may wait for the database for long)."""
    starting = asyncio.create_task(worker.start())
    stopping = asyncio.create_task(signalled.wait())
    await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not starting.done():
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        return False
    await starting
    return True


def _leave_hung_threads(code: int) -> None:
    """End the process here if a handler left threads that would keep it waiting for ever."""
    alive = [
        each.name
        for each in threading.enumerate()
        if each is not threading.main_thread() and not each.daemon
    ]
    if alive:
        log.warning("leaving threads that have not ended: %s", ", ".join(alive))
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
