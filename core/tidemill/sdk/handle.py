"""What an enqueue returns: the task's id, and the way to wait for its result."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, Protocol, TypeVar
from uuid import UUID

from tidemill.errors import TaskCancelled, TaskFailed
from tidemill.models import NewTask, Task
from tidemill.states import Status

R = TypeVar("R")

RESULT_SECONDS = 30.0
"""How long `result` waits unless told otherwise."""


class AsyncClient(Protocol):
    """What handles and task definitions need of a client."""

    async def enqueue_many(self, tasks: Sequence[NewTask]) -> "list[Handle[Any]]": ...
    async def get(self, task_id: UUID) -> Task: ...
    async def wait(self, task_id: UUID, seconds: float | None) -> Task: ...
    async def cancel(self, task_id: UUID) -> Task: ...


class BlockingClient(Protocol):
    """The same for code that cannot await."""

    def enqueue_many(self, tasks: Sequence[NewTask]) -> "list[Handle[Any]]": ...
    def get(self, task_id: UUID) -> Task: ...
    def wait(self, task_id: UUID, seconds: float | None) -> Task: ...
    def cancel(self, task_id: UUID) -> Task: ...


class Clients(Protocol):
    """Where a handle finds its client, made at first use."""

    @property
    def client(self) -> AsyncClient: ...
    @property
    def sync_client(self) -> BlockingClient: ...


class Stored(NamedTuple):
    """A task that was stored. `created` is False where its idempotency key was known.

    Then `id` is the first task's, and `status` its status, or None where that was not looked up.
    """

    id: UUID
    status: Status | None
    created: bool
    queue: str


def _as_it_is(value: Any) -> Any:
    return value


@dataclass(slots=True)
class Handle(Generic[R]):
    """A task that was enqueued. `status` is that of the enqueue; `await handle.task()` is fresh.

    `created` is False when the idempotency key was known: then `id` is the first task's. The
    methods whose names end in `_sync` are for code that cannot await.
    """

    id: UUID
    type: str
    queue: str
    status: Status | None
    created: bool
    clients: Clients = field(repr=False, compare=False)
    decode: Callable[[Any], R] = field(default=_as_it_is, repr=False, compare=False)

    async def result(self, timeout: float | None = RESULT_SECONDS) -> R:  # noqa: ASYNC109 - the client's one poller keeps the time of all who wait
        """Wait until the task has ended, `timeout` seconds at most, and return its result.

        Raises TaskFailed, TaskCancelled (also for a task that expired), TimeoutError, and
        TaskNotFound: it was deleted, or enqueued in a transaction that has not been committed.
        """
        return self._outcome(await self.clients.client.wait(self.id, timeout))

    def result_sync(self, timeout: float | None = RESULT_SECONDS) -> R:
        """Wait as `result` does."""
        return self._outcome(self._blocking().wait(self.id, timeout))

    async def task(self) -> Task:
        """Return the task as it is now. Raises TaskNotFound."""
        return await self.clients.client.get(self.id)

    def task_sync(self) -> Task:
        """Return the task as it is now. Raises TaskNotFound."""
        return self._blocking().get(self.id)

    async def cancel(self) -> Task:
        """Cancel the task and return it: the worker of a running one is asked to.

        Raises Conflict when it has ended, TaskNotFound.
        """
        return await self.clients.client.cancel(self.id)

    def cancel_sync(self) -> Task:
        """Cancel as `cancel` does."""
        return self._blocking().cancel(self.id)

    def _blocking(self) -> BlockingClient:
        return self.clients.sync_client

    def _outcome(self, task: Task) -> R:
        if task.status is Status.SUCCEEDED:
            return self.decode(task.result)
        if task.status is Status.CANCELLED:
            raise TaskCancelled(task.id)
        raise TaskFailed(task.id, task.last_error or {}, attempts=task.retry_count + 1)
