"""The client that speaks with Postgres itself."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, Self
from uuid import UUID

from tidemill.acts import Act, Verdict
from tidemill.client.base import Producer
from tidemill.db import Database
from tidemill.errors import Conflict, TaskNotFound
from tidemill.models import HistoryEvent, NewTask, Task
from tidemill.notify import Hints
from tidemill.sdk.handle import Stored
from tidemill.settings import Settings
from tidemill.store import Store
from tidemill.waiting import Waiting

ACTOR: Final = "client"
"""Who acts, as a task's history shows it."""


class Client(Producer):
    """Enqueues into the database of its settings."""

    def __init__(self, db: Database, settings: Settings) -> None:
        """Use `db`, which the client closes."""
        self._db = db
        self._settings = settings
        self._store = Store.of(db)
        self._hints = Hints(db)
        self._hinting = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting = Waiting(self._store.tasks.ended)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return a client. Raises ConfigurationError when no database is set."""
        return cls(Database.of(settings, application="tidemill-client"), settings)

    def copy(self) -> Self:
        """Return a client with the same settings and connections of its own."""
        made = self.of(self._settings)
        made.middleware = self.middleware
        return made

    async def store(self, tasks: Sequence[NewTask]) -> list[Stored]:
        """Store all of `tasks` or none, and wake workers."""
        made = await self._here().tasks.enqueue(
            tasks,
            unknown_types=self._settings.unknown_types,
            max_payload_bytes=self._settings.max_payload_bytes,
            create_queues=self._settings.create_queues_on_enqueue == "on",
        )
        await self._wake({each.queue for each in made if each.created})
        return [Stored(each.id, each.status, each.created, each.queue) for each in made]

    async def get(self, task_id: UUID) -> Task:
        """Return a task as it is now. Raises TaskNotFound."""
        task = await self._here().tasks.get(task_id)
        if task is None:
            raise _no_task(task_id)
        return task

    async def history(self, task_id: UUID) -> list[HistoryEvent]:
        """Return what happened to a task, oldest first. Raises TaskNotFound."""
        events = await self._here().tasks.history(task_id)
        if not events:
            raise _no_task(task_id)
        return events

    async def wait(self, task_id: UUID, seconds: float | None) -> Task:
        """Return a task when it has ended. Raises TaskNotFound, TimeoutError."""
        self._here()
        return await self._waiting.wait(task_id, seconds)

    async def cancel(self, task_id: UUID) -> Task:
        """Cancel a task and return it. Raises Conflict when it has ended, TaskNotFound."""
        _check(await self._here().acts.cancel([task_id], actor=ACTOR), task_id, "be cancelled")
        return await self.get(task_id)

    async def retry(self, task_id: UUID) -> Task:
        """Run a scheduled task now, or a failed one again. Raises Conflict, TaskNotFound."""
        acts = await self._here().acts.retry([task_id], actor=ACTOR)
        act = _check(acts, task_id, "be retried")
        if act.queue is not None:
            await self._wake({act.queue})
        return await self.get(task_id)

    async def close(self) -> None:
        """Send what hints are left and close all connections; a later call opens new ones."""
        await self._waiting.close()
        if self._hinting:
            await self._hints.stop()
            self._hinting = False
        await self._db.close()
        self._loop = None

    def _here(self) -> Store:
        """Return the store. Raises RuntimeError on another event loop than the first call's."""
        running = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = running
        if self._loop is not running:
            raise RuntimeError(
                "this client has connections of another event loop: close it there first "
                "(`async with app.client:` around the work), or use a `copy()` of it here"
            )
        return self._store

    async def _wake(self, queues: set[str]) -> None:
        if not self._hinting:
            self._hinting = True
            await self._hints.start()
        for queue in queues:
            self._hints.hint(queue)


def _check(acts: Mapping[UUID, Act], task_id: UUID, rule: str) -> Act:
    act = acts.get(task_id, Act(Verdict.MISSING))
    if act.verdict is Verdict.MISSING:
        raise _no_task(task_id)
    if act.verdict is Verdict.KEY_TAKEN:
        raise Conflict(f"task {task_id}: another task holds its idempotency key")
    if act.verdict is Verdict.REFUSED:
        raise Conflict(f"task {task_id} is {act.status}: it cannot {rule}")
    return act


def _no_task(task_id: UUID) -> TaskNotFound:
    return TaskNotFound(f"no task {task_id}")
