"""The handler process: finds the handlers, opens their resources, runs one task after the other.

Handlers run in the main thread, where a signal can interrupt a plain function; an event loop that
lives as long as the process runs the coroutines. Another thread listens to the worker.
"""

import asyncio
import contextlib
import io
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Coroutine, Generator
from contextvars import copy_context
from functools import partial
from types import FrameType
from typing import Any

from tidemill.errors import ConfigurationError
from tidemill.sdk.context import Stopped, current
from tidemill_worker.conclude import Ended, Unstorable
from tidemill_worker.processes.guard import held
from tidemill_worker.processes.job import Job, Jobs
from tidemill_worker.processes.origin import Definition, find
from tidemill_worker.processes.outcome import frame_of
from tidemill_worker.processes.records import follow
from tidemill_worker.processes.wire import Channel, Frame
from tidemill_worker.resources import Resources


def main(start: Frame) -> None:
    """Run tasks until the worker says that there are no more, or goes."""
    channel = Channel(socket.socket(fileno=start["frames"]))
    follow(start["levels"], channel.send)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)  # what a killed process said is not lost
    try:
        definitions = find(start["origin"])
    except ConfigurationError as error:
        channel.send({"is": "refused", "error": str(error)})
        return
    HandlerProcess(channel, definitions).serve()


class HandlerProcess:
    """Runs the tasks that arrive on `channel`."""

    def __init__(self, channel: Channel, definitions: dict[str, Definition]) -> None:
        """Take over SIGTERM, and leave SIGINT alone: asyncio would take it at each function."""
        self._channel = channel
        self._resources = Resources(definitions.values())
        self._jobs = Jobs(channel, definitions)
        self._interruptible = False
        signal.signal(signal.SIGTERM, self._interrupt)
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    def serve(self) -> None:
        """Open the resources, run tasks, close the resources."""
        with asyncio.Runner() as runner:
            try:
                runner.run(self._resources.start())
            except ConfigurationError as error:
                self._channel.send({"is": "refused", "error": str(error)})
                return
            threading.Thread(
                target=self._jobs.listen, args=[runner.get_loop()], daemon=True
            ).start()
            self._channel.send({"is": "ready", "pid": os.getpid()})
            while (job := runner.run(self._coroutines())) is not None:
                self._report(job, self._called(job))
            runner.run(self._resources.stop())

    async def _coroutines(self) -> Job | None:
        """Run the coroutines that arrive; return the first plain function, or None at the end."""
        while (job := await self._jobs.next()) is not None and job.definition.is_async:
            self._report(job, await self._awaited(job))
        return job

    async def _awaited(self, job: Job) -> Ended:
        context = copy_context()
        context.run(current.set, job.context)
        handler = partial(self._handler, job)
        job.task = asyncio.create_task(_ended(handler), context=context)
        if job.context.stop_reason is not None:
            job.task.cancel()  # told before there was something to cancel
        with contextlib.suppress(asyncio.CancelledError):  # before its first step
            return await job.task
        return Ended(error=asyncio.CancelledError())

    def _called(self, job: Job) -> Ended:
        context = copy_context()
        context.run(current.set, job.context)
        try:
            with self._interrupted():
                job.context.raise_if_stopped()
                return Ended(value=context.run(self._handler, job))
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # noqa: BLE001 - what it means is decided in `conclude`
            return Ended(error=error)

    def _handler(self, job: Job) -> Any:
        """Call the handler; the payload was checked by the worker, its values are made here."""
        definition = job.definition
        first = (job.context,) if definition.wants_context else ()
        arguments = definition.codec.decode(job.payload) | self._resources.of(definition)
        return definition.function(*first, **arguments)

    def _report(self, job: Job, ended: Ended) -> None:
        job.link.close()
        defaults, size = job.definition.defaults, {"held": held(os.getpid())}
        try:
            self._channel.send(frame_of(ended, defaults) | size)
        except ValueError as error:  # too long a result
            self._channel.send(frame_of(Ended(error=Unstorable(str(error))), defaults) | size)

    @contextlib.contextmanager
    def _interrupted(self) -> Generator[None]:
        """Let SIGTERM raise in here."""
        self._interruptible = True
        try:
            yield
        finally:
            self._interruptible = False

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        """Stop a plain function that was asked to; a coroutine has been cancelled already."""
        del frame
        reason = self._jobs.stop_reason
        if reason is None:  # somebody else's signal: do as processes do
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        elif self._interruptible:
            self._interruptible = False
            raise Stopped(f"the task must stop: {reason}")


async def _ended(handler: Callable[[], Coroutine[Any, Any, Any]]) -> Ended:
    """Await the handler; every way through it ends in a value."""
    try:
        return Ended(value=await handler())
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # noqa: BLE001 - what it means is decided in `conclude`
        return Ended(error=error)
