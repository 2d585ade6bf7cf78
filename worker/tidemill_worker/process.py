"""A worker process: the app, the signals, the exit code.

SIGTERM and SIGINT drain; a second one gives up at once what still runs.
"""

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from tidemill import garbage
from tidemill.app import App, load_app
from tidemill.errors import ConfigurationError
from tidemill.settings import Settings
from tidemill_worker import recycles, recycling
from tidemill_worker.shift import Ending, work

EXIT_CLEAN = 0
EXIT_UNCLEAN = 1
"""A part failed, or leases could not be handed over (no database): those expire by themselves."""

EXIT_INTERRUPTED = 130
"""A signal ended a burst: a Job must not take that for a success."""

HUNG_THREADS_SECONDS = 3.0
"""How long threads that handlers left (`asyncio.to_thread`, say) may hold up the process's end."""

log = logging.getLogger("tidemill.worker")


def run(settings: Settings, *, burst: bool = False) -> int:
    """Run the worker of `settings.app` until a signal ends it; return the exit code.

    With `burst` it ends by itself when nothing is left to do. At a limit of `settings` (max_tasks,
    max_memory_mb) it does not return: the process starts itself anew.
    Raises ConfigurationError, DatabaseUnavailable, DatabaseRefused or SchemaMismatch when it
    cannot start. Logging is the caller's to configure.
    """
    folder = os.getcwd()  # noqa: PTH109 - as it was, not as a path of ours
    stopped = EXIT_INTERRUPTED if burst else EXIT_CLEAN
    _end_at_sigterm(stopped)
    app = _loaded(settings)
    garbage.spare()
    recycles.recall()
    limits = recycling.Limits.of(settings)
    runner = asyncio.Runner()
    ending = runner.run(work(app, settings, limits, burst=burst))
    if ending is Ending.RECYCLED:
        _close(runner, lambda: recycling.start_anew(folder))
        recycling.start_anew(folder)
    code = {Ending.DONE: EXIT_CLEAN, Ending.STOPPED: stopped}.get(ending, EXIT_UNCLEAN)
    _close(runner, lambda: _end(code))
    return code


def _loaded(settings: Settings) -> App:
    if not settings.app:
        raise ConfigurationError("TIDEMILL_APP must name the app to run: module:attribute")
    app = load_app(settings.app)
    if not app.tasks:
        raise ConfigurationError(f"app {settings.app}: must have at least one task")
    return app


def _end_at_sigterm(code: int) -> None:
    """Let SIGTERM end the start: the first process of a container would not notice it at all."""

    def end(number: int, frame: FrameType | None) -> NoReturn:
        del number, frame
        raise SystemExit(code)

    signal.signal(signal.SIGTERM, end)
    recycling.take_signals()


def _close(runner: asyncio.Runner, end: Callable[[], object]) -> None:
    """Close the loop. Threads of handlers that never return must not keep the process waiting."""
    timer = threading.Timer(HUNG_THREADS_SECONDS, end)
    timer.daemon = True
    timer.start()
    runner.close()
    main = threading.main_thread()
    if all(each is main or each.daemon for each in threading.enumerate()):
        timer.cancel()


def _end(code: int) -> None:
    alive = [each.name for each in threading.enumerate() if not each.daemon]
    log.warning("ending with threads that do not: %s", ", ".join(alive))
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
