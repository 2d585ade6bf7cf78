"""One handler process, as the worker sees it. See the package for the processes and channels."""

import asyncio
import contextvars
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

from tidemill.errors import ConfigurationError
from tidemill.sdk.context import Context, Stopped, StopReason
from tidemill_worker import metrics
from tidemill_worker.conclude import Ended, ProcessDied
from tidemill_worker.processes import records
from tidemill_worker.processes.death import Death, death_of
from tidemill_worker.processes.outcome import ended_of
from tidemill_worker.processes.program import Program, begin
from tidemill_worker.processes.wire import Frame, encode, read

START_SECONDS = 60.0
"""How long a new process may take to import the app and open its resources."""
ASK_SECONDS = 0.4
"""How long a handler has after it was asked to stop, before SIGTERM."""
TERM_SECONDS = 0.4
"""How long it has then, before SIGKILL: both together less than what the watch grants."""
GONE_SECONDS = 10.0
"""How long a guard may take to end everything and say so, before it is killed itself."""

_MEGABYTE = 1_000_000

log = logging.getLogger("tidemill.worker")


@dataclass(frozen=True, slots=True)
class Order:
    """A task for a process: the frame, who hears of its run, why it must stop, its bound."""

    frame: Frame
    context: Context
    reason: Callable[[], StopReason | None]
    max_memory_mb: int | None = None


class Process:
    """Runs one task at a time. It is `reusable` until it has died or had to be forced."""

    def __init__(self, program: Program) -> None:
        """Hear `program`, which has just been started; use `start`."""
        self._program = program
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._order: Order | None = None
        self._orders = 0
        self._ended: asyncio.Future[Ended] | None = None
        self._answers: set[asyncio.Task[None]] = set()
        # in a context of its own: what it logs is not of the task that a process was started for
        self._listening = asyncio.create_task(self._listen(), context=contextvars.Context())
        self._max_memory_mb: int | None = None
        self.pid = 0
        self.held = 0
        """What it held after its last task, in bytes"""
        self.reusable = True
        self._asked = False
        """Whether its end is our doing, or it has said why itself"""

    @classmethod
    async def start(cls, origin: Frame) -> Self:
        """Return a process that can run the handlers of `origin`.

        Raises ConfigurationError when it cannot find them or open their resources, ProcessDied
        when it dies or takes too long.
        """
        process = cls(await begin(origin, records.levels()))
        await process._has_started()
        return process

    async def _has_started(self) -> None:
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._ready
        except BaseException as error:
            self.kill()
            await self.gone()
            if isinstance(error, TimeoutError):
                raise ProcessDied(f"did not start within {START_SECONDS:g} s") from None
            raise

    async def run(self, order: Order) -> Ended:
        """Run a task to its end. Cancelled, it stops the handler, by force if need be."""
        self._order = order
        self._orders += 1
        self._ended = asyncio.get_running_loop().create_future()
        if not self.reusable:
            self._end(ProcessDied("ended before the task reached it"))
        self._bound(order.max_memory_mb)
        self._send(order.frame | {"order": self._orders})
        try:
            await asyncio.wait([self._ended])
        except asyncio.CancelledError:
            await self._stopped(self._ended, order.reason())
        finally:
            self._order = None
            self._bound(None)
        return self._ended.result() if self._ended.done() else Ended(error=ProcessDied("hangs"))

    async def close(self, seconds: float) -> None:
        """Let it close its resources and end; kill it after `seconds`."""
        self.reusable, self._asked = False, True
        self._send({"is": "close"})
        try:
            await asyncio.wait([self._listening], timeout=seconds)
        finally:
            self.kill()
        await self.gone()

    def kill(self) -> None:
        """End it and everything that comes from it."""
        self.reusable, self._asked = False, True
        self._tell_guard("kill")

    async def gone(self) -> None:
        """Wait for its end after `kill`."""
        await asyncio.wait([self._listening], timeout=GONE_SECONDS)
        if not self._listening.done():  # the guard is stopped, or hangs
            self._program.process.kill()
            await asyncio.wait([self._listening], timeout=GONE_SECONDS)
        self._listening.cancel()

    async def _stopped(self, ended: "asyncio.Future[Ended]", reason: StopReason | None) -> None:
        """Ask the handler to stop, then make it: at once when nobody says why."""
        steps: list[tuple[Callable[[], object], float]] = []
        if reason is not None:
            ask = partial(self._send, {"is": "stop", "reason": reason})
            steps = [(ask, ASK_SECONDS), (self._terminate, TERM_SECONDS)]
        try:
            for step, seconds in steps:
                step()
                await asyncio.wait([ended], timeout=seconds)
                if ended.done():
                    return
            self.kill()
            await self.gone()
        except asyncio.CancelledError:
            self.kill()
            raise

    def _terminate(self) -> None:
        self.reusable, self._asked = False, True
        self._tell_guard("term")

    async def _listen(self) -> None:
        """Hear the process until it ends; then the guard's word of how."""
        try:
            while (frame := await read(self._program.frames)) is not None:
                self._hear(frame)
            death = death_of(await self._program.reports.read())
        except Exception as bad:  # noqa: BLE001 - a handler may have written to our channel
            self._tell_guard("kill")
            await self._program.reports.read()
            death = Death(f"was killed: it sent what is no message of ours: {bad}", "signal")
        finally:
            self.reusable = False
            self._program.close()
        self._ended_by(death)

    def _ended_by(self, death: Death) -> None:
        started = self._ready.done()
        if not self._asked:
            metrics.PROCESS_DEATHS.labels(death.how if started else "start").inc()
            log.warning("a process for handlers has died: %s", death.words, extra={"pid": self.pid})
        if not started:
            self._ready.set_exception(ProcessDied(death.words))
        self._end(ProcessDied(death.words))

    def _end(self, error: ProcessDied) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(Ended(error=error))

    def _hear(self, frame: Frame) -> None:
        kind = frame["is"]
        if kind == "log":
            records.handle(frame["record"])
        elif kind == "ready" and not self._ready.done():
            self.pid = frame["pid"]
            self._ready.set_result(None)
        elif kind == "refused" and not self._ready.done():
            self._asked = True
            self._ready.set_exception(ConfigurationError(frame["error"]))
        elif kind == "ended" and self._ended is not None and not self._ended.done():
            self.held = frame["held"]
            self._ended.set_result(ended_of(frame))
        elif kind == "progress" and (order := self._of(frame)) is not None:
            order.context.link.progress(frame["value"])
        elif kind == "renew":
            self._answer(self._renewed(frame["number"], self._of(frame)))

    def _of(self, frame: Frame) -> Order | None:
        """Return the order that a frame is about, unless it has ended."""
        return self._order if frame["order"] == self._orders else None

    def _answer(self, answer: Any) -> None:
        task = asyncio.create_task(answer)
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)

    async def _renewed(self, number: int, order: Order | None) -> None:
        answer: Frame = {"is": "renewed", "number": number}
        try:
            await _renewal(order)
        except Stopped as stopped:
            answer["stopped"] = str(stopped)
        except Exception as error:  # noqa: BLE001 - the handler gets it
            answer["error"] = f"{type(error).__name__}: {error}"
        self._send(answer)

    def _send(self, frame: Frame) -> None:
        self._program.send(encode(frame))

    def _bound(self, max_memory_mb: int | None) -> None:
        """Have the guard measure; most tasks have no bound, and no guard to wake up."""
        if max_memory_mb != self._max_memory_mb:
            self._max_memory_mb = max_memory_mb
            self._tell_guard(f"limit {(max_memory_mb or 0) * _MEGABYTE}")

    def _tell_guard(self, order: str) -> None:
        self._program.order(f"{order}\n".encode())


async def _renewal(order: Order | None) -> None:
    if order is None:
        raise Stopped("the task has ended")
    await order.context.heartbeat()
