"""Threads for plain functions: daemons, because a hung handler must not keep the process alive."""

import asyncio
import queue
import threading
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class _Job:
    call: Callable[[], Any]
    answer: asyncio.Future[Any]

    def run(self) -> None:
        try:
            value = self.call()
        except BaseException as error:  # noqa: BLE001 - the slot that waits decides what it means
            self._settle(self.answer.set_exception, _raisable(error))
        else:
            self._settle(self.answer.set_result, value)

    def _settle(self, settle: Callable[[Any], None], outcome: Any) -> None:
        def answer() -> None:
            if not self.answer.done():
                settle(outcome)

        try:
            self.answer.get_loop().call_soon_threadsafe(answer)
        except RuntimeError:
            return  # the worker has gone: it gave this task back long ago


class Threads:
    """As many threads as calls run at once; one that is free serves the next call."""

    def __init__(self) -> None:
        """Start none."""
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._free = threading.Semaphore(0)
        self._count = 0

    def run(self, call: Callable[[], Any]) -> asyncio.Future[Any]:
        """Call in a thread, in a copy of the current context; await the future for its end."""
        context = copy_context()
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if not self._free.acquire(blocking=False):
            self._count += 1
            name = f"tidemill-task-{self._count}"
            threading.Thread(target=self._serve, name=name, daemon=True).start()
        self._jobs.put(_Job(lambda: context.run(call), answer))
        return answer

    def close(self) -> None:
        """Let the threads end when they are free."""
        for _ in range(self._count):
            self._jobs.put(None)

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.run()
            del job  # or its arguments live until the next one
            self._free.release()


def _raisable(error: BaseException) -> BaseException:
    """A future refuses StopIteration; so would a coroutine."""
    if isinstance(error, StopIteration):
        return RuntimeError(f"the handler raised {error!r}")
    return error
