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
from collections.abc import Awaitable

from tidemill.app import App, load_app
from tidemill.errors import ConfigurationError
from tidemill.settings import Settings
from tidemill_worker.worker import Worker

EXIT_CLEAN = 0
EXIT_UNCLEAN = 1
"""A part failed, or leases could not be handed over (no database): those expire by themselves."""

HUNG_THREADS_SECONDS = 3.0
"""How long threads that handlers left (`asyncio.to_thread`, say) may hold up the process's end."""

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
    code = runner.run(_work(app, settings))
    _close(runner, code)
    return code


async def _work(app: App, settings: Settings) -> int:
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
        return EXIT_CLEAN
    names = ", ".join(app.tasks)
    log.info("working on %s with %d slots: %s", settings.queues, settings.concurrency, names)
    await _either(signalled.wait(), worker.failed.wait())
    drained = await worker.stop()
    log.info(
        "stopped: %d tasks given back unstarted, %d stopped, %d not recorded",
        drained.returned,
        drained.cancelled,
        drained.unrecorded,
    )
    return EXIT_UNCLEAN if worker.failed.is_set() or drained.unrecorded else EXIT_CLEAN


async def _started(worker: Worker, signalled: asyncio.Event) -> bool:
    """Start `worker`; False when a signal came first (it may wait for the database for long)."""
    starting = asyncio.create_task(worker.start())
    await _either(asyncio.shield(starting), signalled.wait())
    if not starting.done():
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        return False
    await starting
    return True


async def _either(*waits: Awaitable[object]) -> None:
    """Return when the first of `waits` ends, whatever way; the others are cancelled."""
    futures = [asyncio.ensure_future(each) for each in waits]
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
    for each in futures:
        each.cancel()
    await asyncio.gather(*futures, return_exceptions=True)


def _close(runner: "asyncio.Runner", code: int) -> None:
    """Close the loop. Threads of handlers that never return must not keep the process waiting."""
    end = threading.Timer(HUNG_THREADS_SECONDS, _end, [code])
    end.daemon = True
    end.start()
    runner.close()
    main = threading.main_thread()
    if all(each is main or each.daemon for each in threading.enumerate()):
        end.cancel()


def _end(code: int) -> None:
    alive = [each.name for each in threading.enumerate() if not each.daemon]
    log.warning("ending with threads that do not: %s", ", ".join(alive))
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
