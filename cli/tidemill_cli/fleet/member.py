"""One child that serves the port: started, kept, told to end."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from tidemill.errors import TidemillError
from tidemill_cli.local import launch
from tidemill_cli.local.child import ending

READY: Final = "TIDEMILL_CHILD_READY"
"""The variable with the file that a child writes a line to once it serves."""

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 15.0
_HEALTHY_SECONDS: Final = 30.0
_WELL: Final = (0, -signal.SIGTERM)  # as told; the latter before it could listen to that
_log = logging.getLogger(__name__)


class EndedError(TidemillError):
    """A child has ended by itself before any served, or not well when told to; `code` is how."""

    def __init__(self, name: str, code: int) -> None:
        """Keep how it ended."""
        super().__init__(f"{name} {ending(code)}")
        self.code = code if code > 0 else 1


class Member:
    """A child by its name. `forget(pid)` is called when one of its processes has ended."""

    def __init__(
        self,
        name: str,
        *,
        program: Sequence[str],
        environ: Mapping[str, str],
        files: Sequence[int],
        stopping: asyncio.Event,
        proven: asyncio.Event,
        forget: Callable[[int], None],
    ) -> None:
        """Start nothing yet; it inherits `files`. `proven` is set when the first of all serves."""
        self.name = name
        self.ready = asyncio.Event()
        self._program = program
        self._environ = environ
        self._files = files
        self._stopping = stopping
        self._proven = proven
        self._forget = forget
        self._process: asyncio.subprocess.Process | None = None

    async def run(self) -> None:
        """Keep a process running until told to stop.

        Raises EndedError where it does not start and none ever did: what keeps one from starting
        while others serve may pass, and must not end those.
        """
        pause, clock = _FIRST_PAUSE, asyncio.get_running_loop().time
        while not self._stopping.is_set():
            began = clock()
            code = await self._once()
            if self._stopping.is_set():
                if code not in _WELL:
                    raise EndedError(self.name, code)
                return
            if code > 0 and not self._proven.is_set():
                raise EndedError(self.name, code)
            pause = _FIRST_PAUSE if clock() - began > _HEALTHY_SECONDS else pause
            _log.warning("%s %s; starting another in %g s", self.name, ending(code), pause)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            pause = min(_LONGEST_PAUSE, pause * 2)

    def terminate(self) -> None:
        """Ask the process to stop; once more: sooner."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """End the process."""
        self._send(signal.SIGKILL)

    async def _once(self) -> int:
        heard, told = os.pipe()
        try:
            # In a session of its own: Ctrl-C is for the parent to pass on. It ends as if told to
            # stop when the parent dies, whatever kills that.
            process = await asyncio.create_subprocess_exec(
                *launch.command(self._program, signal=signal.SIGTERM),
                env={**self._environ, READY: str(told)},
                pass_fds=(*self._files, told),
                start_new_session=True,
            )
        except BaseException:
            os.close(heard)
            raise
        finally:
            os.close(told)
        self._process = process
        if self._stopping.is_set():  # told while it was being started
            self.terminate()
        listening = asyncio.create_task(self._hear(heard))
        try:
            return await process.wait()
        finally:
            await listening
            self._forget(process.pid)

    async def _hear(self, heard: int) -> None:
        """Note that the process serves, when it says so; return at its end at the latest."""
        loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
        with os.fdopen(heard, "rb") as pipe:
            transport, _ = await loop.connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(reader), pipe
            )
            if await reader.readline():
                self.ready.set()
                self._proven.set()
            transport.close()

    def _send(self, which: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(which)
