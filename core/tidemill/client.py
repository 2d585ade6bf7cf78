"""A Python producer's way in: enqueue tasks and look at them. Async, over the store."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self
from uuid import UUID

from tidemill.db import Database
from tidemill.errors import TaskNotFound
from tidemill.models import Enqueued, HistoryEvent, NewTask, Task
from tidemill.notify import Hints
from tidemill.settings import Settings
from tidemill.store import Store


class Client:
    """Enqueues into the database of its settings; opens no connection before its first use.

    `async with client:` closes it at the end; so does `await client.close()`. One client serves
    one event loop.
    """

    def __init__(self, db: Database, settings: Settings) -> None:
        """Use `db`, which the client closes."""
        self._db = db
        self._settings = settings
        self._store = Store.of(db)
        self._hints = Hints(db)
        self._hinting = False

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return a client. Raises ConfigurationError when no database is set."""
        return cls(Database.of(settings, application="tidemill-client"), settings)

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

    async def enqueue(self, task: NewTask) -> Enqueued:
        """Store one task; see `enqueue_many`."""
        return (await self.enqueue_many([task]))[0]

    async def enqueue_many(self, tasks: Sequence[NewTask]) -> list[Enqueued]:
        """Store all of `tasks` or none, in order; they are durable when this returns.

        Raises InvalidTask (also a queue that does not exist, where the settings forbid to create
        it), UnknownType, IdempotencyConflict, QueueFull (try again after its `retry_after` seconds)
        and DatabaseUnavailable.
        """
        stored = await self._store.tasks.enqueue(
            tasks,
            unknown_types=self._settings.unknown_types,
            max_payload_bytes=self._settings.max_payload_bytes,
            create_queues=self._settings.create_queues_on_enqueue == "on",
        )
        await self._wake({each.queue for each in stored if each.created})
        return stored

    async def get(self, task_id: UUID) -> Task:
        """Return a task as it is now. Raises TaskNotFound."""
        task = await self._store.tasks.get(task_id)
        if task is None:
            raise TaskNotFound(f"no task {task_id}")
        return task

    async def history(self, task_id: UUID) -> list[HistoryEvent]:
        """Return what happened to a task, oldest first. Raises TaskNotFound."""
        events = await self._store.tasks.history(task_id)
        if not events:
            raise TaskNotFound(f"no task {task_id}")
        return events

    async def close(self) -> None:
        """Send what hints are left and close all connections."""
        if self._hinting:
            await self._hints.stop()
        await self._db.close()

    async def _wake(self, queues: set[str]) -> None:
        if not self._hinting:
            self._hinting = True
            await self._hints.start()
        for queue in queues:
            self._hints.hint(queue)
