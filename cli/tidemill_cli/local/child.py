"""One process of `tidemill up`: a `tidemill` command as a child that cannot outlive us."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Mapping, Sequence

from tidemill_cli.local import launch
from tidemill_cli.local.printer import Lines, Printer

_CHUNK = 65536


class Child:
    """Starts `python -m tidemill_cli ARGUMENTS`, prints what it says, tells how it ended.

    `orphan_signal` is what the child gets if we die without a chance to stop it.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        printer: Printer,
        *,
        orphan_signal: signal.Signals,
    ) -> None:
        """Keep what to start."""
        self.name = name
        self._program = [sys.executable, "-P", "-m", "tidemill_cli", *arguments]
        self._environment = environment
        self._printer = printer
        self._orphan_signal = orphan_signal
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process id of the latest start; None before the first."""
        return self._process.pid if self._process else None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start it, in a session of its own: Ctrl-C is for us to pass on, in order."""
        self._process = await asyncio.create_subprocess_exec(
            *launch.command(self._program, signal=self._orphan_signal),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=dict(self._environment),
            start_new_session=True,
        )
        self._reader = asyncio.create_task(self._print(self._process.stdout))

    async def wait(self) -> int:
        """Return the exit code (negative: the signal that ended it) once all it said is printed."""
        if self._process is None or self._reader is None:
            raise RuntimeError(f"{self.name} was not started")
        code = await self._process.wait()
        # A grandchild may keep the pipe open: its output must not keep us waiting.
        await asyncio.wait([self._reader], timeout=1.0)
        self._reader.cancel()
        return code

    def send(self, which: signal.Signals) -> None:
        """Send a signal if it still runs."""
        if self.running and self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(which)

    async def stop(self, seconds: float) -> bool:
        """Ask it to stop, and kill it after `seconds`; return whether it stopped by itself."""
        if not self.running:
            return True
        self.send(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.wait(), seconds)
        except TimeoutError:
            self.send(signal.SIGKILL)
            await self.wait()
            return False
        return True

    async def _print(self, stream: asyncio.StreamReader | None) -> None:
        lines = Lines(lambda text: self._printer.line(self.name, text))
        while stream is not None and (data := await stream.read(_CHUNK)):
            lines.feed(data)
        lines.close()


def ending(code: int) -> str:
    """Return an exit code in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
