"""The client of code that cannot await: Django, Flask, scripts, plain functions in threads.

It drives an asynchronous client on one thread with an event loop, started at the first call and
shared by all threads of the process. A forked child (gunicorn, celery) starts its own: what it
inherited belongs to the parent, and is left alone.
"""

import asyncio
import atexit
import os
import threading
from collections.abc import Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any, Final, NoReturn, Self, TypeVar
from uuid import UUID
from weakref import WeakSet

from tidemill.client.base import Producer, swallowed
from tidemill.client.direct import Client
from tidemill.errors import ConfigurationError, TidemillError
from tidemill.models import HistoryEvent, NewTask, Task
from tidemill.sdk.enqueueing import OF_TASKS, around, handles, unnumber
from tidemill.sdk.handle import Handle
from tidemill.settings import Settings

T = TypeVar("T")

Make = Callable[[], Producer]


class SyncClient:
    """Calls of `Client` or `HttpClient` that wait for their answer. Any thread may call.

    It closes itself at the end of the process; `close()` or `with` do so earlier.
    """

    def __init__(self, make: Make) -> None:
        """Drive the client that `make()` returns, made at the first call of each process."""
        self._make = make
        self._engine: _Engine | None = None
        self._starting = threading.Lock()
        _clients.add(self)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return a client of the database that `settings` name."""
        return cls(lambda: Client.of(settings))

    def enqueue(self, task: NewTask) -> Handle[Any]:
        """Store one task; see `enqueue_many`."""
        try:
            return self.enqueue_many([task])[0]
        except OF_TASKS as error:
            unnumber(error)
            raise

    def enqueue_many(self, tasks: Sequence[NewTask]) -> list[Handle[Any]]:
        """Store all of `tasks` or none; they are durable when this returns.

        Raises as `Client.enqueue_many` does. Middleware is entered in the calling thread.
        """
        if not tasks:
            return []
        engine = self._started()
        with around(engine.client.middleware, tasks) as given:
            return handles(given, engine.call(engine.client.store(given)), self)
        raise swallowed()

    def get(self, task_id: UUID) -> Task:
        """Return a task as it is now. Raises TaskNotFound."""
        engine = self._started()
        return engine.call(engine.client.get(task_id))

    def history(self, task_id: UUID) -> list[HistoryEvent]:
        """Return what happened to a task, oldest first. Raises TaskNotFound."""
        engine = self._started()
        return engine.call(engine.client.history(task_id))

    def wait(self, task_id: UUID, seconds: float | None) -> Task:
        """Return a task when it has ended. Raises TaskNotFound, TimeoutError."""
        engine = self._started()
        return engine.call(engine.client.wait(task_id, seconds))

    def cancel(self, task_id: UUID) -> Task:
        """Cancel a task and return it. Raises Conflict when it has ended, TaskNotFound."""
        engine = self._started()
        return engine.call(engine.client.cancel(task_id))

    def retry(self, task_id: UUID) -> Task:
        """Run a scheduled task now, or a failed one again. Raises Conflict, TaskNotFound."""
        engine = self._started()
        return engine.call(engine.client.retry(task_id))

    def close(self) -> None:
        """Close all connections and end the thread; a later call starts anew."""
        with self._starting:
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    @property
    def sync_client(self) -> Self:
        """Itself: where its handles find their client."""
        return self

    @property
    def client(self) -> NoReturn:
        """Raise: nothing here can be awaited."""
        raise ConfigurationError(
            "this handle is of a SyncClient: call its methods that end in `_sync`, "
            "or enqueue through an App"
        )

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the client."""
        self.close()

    def _started(self) -> "_Engine":
        _refuse_in_event_loop()
        with self._starting:
            if self._engine is None:
                self._engine = _Engine(self._make())
            return self._engine

    def forget(self) -> None:
        """Leave what is there to the parent: called in a forked child, before anything else."""
        if self._engine is not None:
            _parents.append(self._engine)
        self._engine, self._starting = None, threading.Lock()


class _Engine:
    """A client and the thread that drives it."""

    def __init__(self, client: Producer) -> None:
        self.client = client
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._calling = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="tidemill-sync-client", daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what `work` returns, done on the thread; context variables come along."""
        with self._calling:
            if self._closed:
                work.close()
                raise TidemillError("the client was closed while this call began")
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # an interrupt, or SystemExit from a signal: nobody waits any more
            raise

    def close(self) -> None:
        """Close the client and end the thread."""
        with self._calling:
            if not self._closed:
                self._closed = True
                self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        await self._stop.wait()
        await self.client.close()


def _refuse_in_event_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(
        "a blocking call would hold up the event loop that runs here: "
        "await the method without `_sync`, or call from another thread"
    )


_clients: Final[WeakSet[SyncClient]] = WeakSet()
_parents: Final[list[_Engine]] = []
"""What a forked child inherited: never closed by it, for the connections are the parent's."""


def _close_all() -> None:
    for each in tuple(_clients):
        each.close()


def _forget_all() -> None:
    for each in tuple(_clients):
        each.forget()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_forget_all)
