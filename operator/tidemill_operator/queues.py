"""The operator's side of the database: reading all queues at once, and writing their settings.

Whatever is wrong with the database becomes a Problem: the operator holds and says why.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tidemill import schema
from tidemill.errors import Conflict, DatabaseRefused, SchemaMismatch, TidemillError
from tidemill.models import QueueSnapshot
from tidemill.store import Store
from tidemill.store.queues import QueueInfo
from tidemill_operator.policy import COUNT_CAP, DUE_SECONDS, EVERY_QUEUE
from tidemill_operator.problems import DUPLICATE_QUEUE, CannotAct, Problem
from tidemill_operator.queue_settings import owner_of, settings_of
from tidemill_operator.resources import queue_of
from tidemill_operator.view import uid_of

log = logging.getLogger(__name__)

READ_SECONDS = 5.0
SEEN_SECONDS = 20.0
"""An owner not seen for 60 s may lose its queue: that it is there is written well before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """All queues at one moment; `snapshots` is None when they could not be read."""

    now: float
    snapshots: Sequence[QueueSnapshot] | None
    free_connections: int | None = None
    problem: Problem | None = None


class Queues:
    """Reads and configures queues."""

    def __init__(self, store: Store) -> None:
        """Use `store`; nothing is connected yet."""
        self._store = store
        self._schema_fits = False
        self._configured: dict[str, int] = {}
        self._owners: set[str] = set()
        self._seen_due = 0.0

    async def look(self, due: Mapping[str, float]) -> Look:
        """Return all queues as they are now. Never raises for the database's sake.

        Tasks due within `due` of their queue count as due soon; '*' stands for all other queues.
        """
        try:
            snapshots, free = await asyncio.wait_for(self._read(due), READ_SECONDS)
        except (TidemillError, TimeoutError) as error:
            return Look(now=_now(), snapshots=None, problem=_problem(error))
        except Exception as error:
            # A statement that does not fit the schema: say so, and check the schema next time.
            log.exception("reading the queues failed")
            self._schema_fits = False
            problem = Problem("QueueUnreadable", f"reading the queues failed: {error}")
            return Look(now=_now(), snapshots=None, problem=problem)
        return Look(now=_now(), snapshots=snapshots, free_connections=free)

    async def _read(self, due: Mapping[str, float]) -> tuple[list[QueueSnapshot], int]:
        if not self._schema_fits:
            status = await schema.status(self._store.db)
            if not status.fits:
                raise SchemaMismatch(status.explain())
            self._schema_fits = True
        await self._say_seen()
        snapshots = await self._store.scaling.snapshots(
            cap=COUNT_CAP,
            due_seconds=due.get(EVERY_QUEUE, DUE_SECONDS),
            due_by_queue={name: each for name, each in due.items() if name != EVERY_QUEUE},
        )
        return snapshots, await self._store.scaling.free_connections()

    async def configure(self, task_queue: Mapping[str, Any]) -> None:
        """Write the settings of a TaskQueue to its queue, when they changed or were lost.

        Raises CannotAct when another TaskQueue owns the queue, DatabaseUnavailable and so on.
        """
        queue, uid = queue_of(task_queue), uid_of(task_queue)
        generation = task_queue["metadata"]["generation"]
        if self._configured.get(uid) == generation:
            return
        if queue == EVERY_QUEUE:
            await self._store.queues.disown(uid)  # it may have named a queue before
            self._owners.discard(uid)
        else:
            await self._own(queue, task_queue)
            self._owners.add(uid)
        self._configured[uid] = generation

    async def _say_seen(self) -> None:
        """Say now and then that the owners are there; who owns none any more is configured anew."""
        now = time.monotonic()
        if now < self._seen_due or not self._owners:
            return
        for lost in self._owners - await self._store.queues.seen(self._owners):
            self.leave(lost)
        self._seen_due = now + SEEN_SECONDS

    async def _own(self, queue: str, task_queue: Mapping[str, Any]) -> None:
        settings, owner = settings_of(task_queue["spec"]), owner_of(task_queue)
        try:
            await self._store.queues.configure(queue, settings, owner)
        except Conflict as error:
            raise CannotAct(DUPLICATE_QUEUE, str(error)) from error

    def forget(self) -> None:
        """Write all settings anew: somebody else may have written them meanwhile."""
        self._configured.clear()
        self._owners.clear()

    def leave(self, uid: str) -> None:
        """Say no more that this owner is there."""
        self._configured.pop(uid, None)
        self._owners.discard(uid)

    async def disown(self, uid: str) -> None:
        """Let go of the settings that a vanished TaskQueue owned."""
        self.leave(uid)
        await self._store.queues.disown(uid)

    async def purge(self, uid: str) -> str | None:
        """Have the queue of a vanished TaskQueue purged; return its name, None when it is not."""
        return await self._store.purges.order(uid)

    async def owned(self) -> list[QueueInfo]:
        """Return the queues that have an owner."""
        return [each for each in await self._store.queues.list() if each.owner_uid]


def _now() -> float:
    return round(time.time(), 3)  # it ends up in a status that people read


def _problem(error: Exception) -> Problem:
    if isinstance(error, TimeoutError):
        return Problem("DatabaseUnavailable", f"no answer within {READ_SECONDS:g} s")
    if isinstance(error, DatabaseRefused | SchemaMismatch):
        return Problem(type(error).__name__, str(error))
    return Problem("DatabaseUnavailable", str(error))
