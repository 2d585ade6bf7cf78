"""What all clients have in common: handles, middleware, the ways in and out."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import Any, NoReturn, Self
from uuid import UUID

from tidemill.client.transactions import InTransaction
from tidemill.errors import ConfigurationError, TidemillError
from tidemill.models import HistoryEvent, NewTask, Task
from tidemill.sdk.enqueueing import OF_TASKS, around, handles, unnumber
from tidemill.sdk.handle import Handle, Stored
from tidemill.sdk.middleware import Middleware


class Producer(InTransaction, ABC):
    """Enqueues tasks and looks at them, from one event loop; opens nothing before its first use.

    `async with client:` closes it at the end; so does `await client.close()`.
    """

    middleware: tuple[Middleware, ...] = ()
    """Goes around every enqueue; `App.use` sets it to the app's."""

    async def enqueue(self, task: NewTask) -> Handle[Any]:
        """Store one task; see `enqueue_many`."""
        try:
            return (await self.enqueue_many([task]))[0]
        except OF_TASKS as error:
            unnumber(error)
            raise

    async def enqueue_many(self, tasks: Sequence[NewTask]) -> list[Handle[Any]]:
        """Store all of `tasks` or none, in order; they are durable when this returns.

        Raises InvalidTask (also for a queue that does not exist, where none are created by an
        enqueue), UnknownType, IdempotencyConflict, QueueFull (try again after its `retry_after`
        seconds), and DatabaseUnavailable or ApiUnavailable.
        """
        if not tasks:
            return []
        with around(self.middleware, tasks) as given:
            return handles(given, await self.store(given), self)
        raise swallowed()

    @abstractmethod
    async def store(self, tasks: Sequence[NewTask]) -> list[Stored]:
        """Store all of `tasks` or none, without any middleware."""

    @abstractmethod
    async def get(self, task_id: UUID) -> Task:
        """Return a task as it is now. Raises TaskNotFound."""

    @abstractmethod
    async def history(self, task_id: UUID) -> list[HistoryEvent]:
        """Return what happened to a task, oldest first. Raises TaskNotFound."""

    @abstractmethod
    async def wait(self, task_id: UUID, seconds: float | None) -> Task:
        """Return a task when it has ended. Raises TaskNotFound, TimeoutError."""

    @abstractmethod
    async def cancel(self, task_id: UUID) -> Task:
        """Cancel a task and return it: the worker of a running one is asked to.

        Raises Conflict when it has ended, TaskNotFound.
        """

    @abstractmethod
    async def retry(self, task_id: UUID) -> Task:
        """Run a scheduled task now, or a failed one again, and return it.

        Raises Conflict when its status does not allow that, TaskNotFound.
        """

    @abstractmethod
    def copy(self) -> Self:
        """Return a client of the same target, for another event loop."""

    @abstractmethod
    async def close(self) -> None:
        """Finish what is left to send and close all connections."""

    @property
    def client(self) -> Self:
        """Itself: where its handles find their client."""
        return self

    @property
    def sync_client(self) -> NoReturn:
        """Raise: nothing here can block."""
        raise ConfigurationError(
            "this handle is of an asynchronous client: await its methods without `_sync`, "
            "or enqueue through an App or a SyncClient"
        )

    async def __aenter__(self) -> Self:
        """Return the client itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the client."""
        await self.close()


def swallowed() -> TidemillError:
    """Return the error of an enqueue whose own error a middleware has kept to itself."""
    return TidemillError("a middleware kept an enqueue's error to itself: it must raise it")
