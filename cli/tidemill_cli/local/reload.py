"""`tidemill worker --reload`: a worker that starts again when code changes. For development.

The worker is a child in a session of its own. A change of a Python file stops it, with a short
drain, and starts it again; one that ended by itself (a syntax error, say) stays so until then.
"""

import asyncio
import logging
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from tidemill.errors import ConfigurationError
from tidemill_cli.local import launch
from tidemill_cli.local.child import ending

OPTION: Final = "--reload"
DRAIN_SECONDS: Final = 2.0
"""How long running tasks may go on after a change."""

KILL_SECONDS: Final = 10.0
DEBOUNCE_MS: Final = 300
"""Changes that come so closely together are one."""

log = logging.getLogger("tidemill.reload")


def run(arguments: Sequence[str], folder: Path) -> int:
    """Run `tidemill ARGUMENTS` until a signal ends it, anew at each change in `folder`.

    Returns its exit code. Raises ConfigurationError when watchfiles is not installed.
    """
    others = [each for each in arguments if each != OPTION]
    return asyncio.run(_supervise(others, folder, _watchfiles()))


def _watchfiles() -> Any:
    """Import the package, which is an extra."""
    try:
        return import_module("watchfiles")
    except ImportError:
        raise ConfigurationError(
            f"{OPTION} needs the package watchfiles: pip install 'tidemill[reload]'"
        ) from None


async def _supervise(arguments: Sequence[str], folder: Path, watchfiles: Any) -> int:
    child = Reloaded(arguments)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, child.give_up)
    logging.getLogger("watchfiles").setLevel(logging.WARNING)  # we say what changed
    log.info("watching %s for changes", folder)
    starting = asyncio.create_task(child.start())  # it begins once the folder is watched
    watching = watchfiles.awatch(
        folder,
        watch_filter=watchfiles.PythonFilter(),
        stop_event=child.given_up,
        debounce=DEBOUNCE_MS,
        ignore_permission_denied=True,
    )
    async for changes in watching:
        await starting
        changed = sorted({Path(path).name for _, path in changes})
        log.info("starting again: %s changed", ", ".join(changed[:3]))
        await child.stop()
        if not child.given_up.is_set():
            await child.start()
    await starting
    return await child.ended()


class Reloaded:
    """A child that is stopped and started again. What it says goes where we say it."""

    def __init__(self, arguments: Sequence[str]) -> None:
        """Start nothing yet."""
        program = [sys.executable, "-P", "-m", "tidemill_cli", *arguments]
        self._command = launch.command(program, signal=signal.SIGTERM)
        self._process: Process | None = None
        self._stopping = False
        self._watch: asyncio.Task[int] | None = None
        self.given_up = asyncio.Event()

    async def start(self) -> None:
        """Start it, in a session of its own: Ctrl-C is for us to pass on, once."""
        self._stopping = False
        self._process = await asyncio.create_subprocess_exec(*self._command, start_new_session=True)
        self._watch = asyncio.create_task(self._tell(self._process, lambda: self._stopping))
        if self.given_up.is_set():  # told while it was being started
            self.send(signal.SIGTERM)

    def give_up(self) -> None:
        """Stop it for good: a signal has come."""
        self.given_up.set()
        self.send(signal.SIGTERM)

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        self._stopping = True
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    async def ended(self) -> int:
        """Wait for its end and return its exit code."""
        return 0 if self._watch is None else await self._watch

    async def stop(self) -> None:
        """Let it drain for a short while, then have it give back its tasks; kill it at last."""
        steps = ((signal.SIGTERM, DRAIN_SECONDS), (signal.SIGTERM, KILL_SECONDS))
        for number, seconds in steps:
            self.send(number)
            try:
                await asyncio.wait_for(asyncio.shield(self.ended()), seconds)
            except TimeoutError:
                continue
            return
        self.send(signal.SIGKILL)
        await self.ended()

    async def _tell(self, process: Process, stopping: Callable[[], bool]) -> int:
        code = await process.wait()
        if not stopping():
            log.warning("the worker %s: it starts again at the next change", ending(code))
        return code
