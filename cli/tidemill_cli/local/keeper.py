"""Keeping a child alive: start it again when it ends, waiting longer each time it fails."""

import asyncio
import signal
from collections.abc import Awaitable, Callable

from tidemill.errors import TidemillError
from tidemill_cli.local.child import Child, ending
from tidemill_cli.local.printer import Printer

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 15.0
_HEALTHY_SECONDS = 30.0
_STOP_SECONDS = 10.0
_HOPELESS = (2, 4, 126)  # usage or setting, schema, cannot run: another try ends the same way


class ChildError(TidemillError):
    """A process ended in a way that starting it again cannot mend."""


class Keeper:
    """Runs a child until `stopping` is set or it may `leave`.

    `on_death(pid)`: after each end that was not asked for.
    """

    def __init__(
        self,
        child: Child,
        stopping: asyncio.Event,
        printer: Printer,
        on_death: Callable[[int], Awaitable[None]],
        *,
        patient: bool = True,
    ) -> None:
        """Start nothing yet. While not `patient`, any end is one too many."""
        self.patient = patient
        self.hopeful = False  # whether to try again even where that mends nothing: others serve
        self.child = child
        self._stopping = stopping
        self._printer = printer
        self._on_death = on_death
        self._pause = _FIRST_PAUSE
        self._leaving = False

    def leave(self) -> None:
        """Have the child end in its own time; it is not started again."""
        self._leaving = True
        self.child.send(signal.SIGTERM)

    @property
    def _ending(self) -> bool:
        return self._leaving or self._stopping.is_set()

    async def run(self) -> None:
        """Keep it alive; return once it has ended when it was to end.

        Raises ChildError when there is no use in trying again.
        """
        while not self._ending:
            clock = asyncio.get_running_loop().time
            started = clock()
            await self.child.start()
            if self._ending:  # told while it was being started
                await self.child.stop(_STOP_SECONDS)
            code = await self.child.wait()
            if self._ending:
                return
            if (code in _HOPELESS and not self.hopeful) or not self.patient:
                raise ChildError(f"{self.child.name} {ending(code)}: see its lines above")
            if clock() - started > _HEALTHY_SECONDS:
                self._pause = _FIRST_PAUSE
            await self._after(code)

    async def _after(self, code: int) -> None:
        name, pid = self.child.name, self.child.pid
        self._printer.line("up", f"{name} {ending(code)}; starting it again in {self._pause:g} s")
        if pid is not None:
            await self._on_death(pid)
        try:
            await asyncio.wait_for(self._stopping.wait(), self._pause)
        except TimeoutError:
            self._pause = min(_LONGEST_PAUSE, self._pause * 2)
