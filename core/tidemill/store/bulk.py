"""Acts on all tasks that match a filter, in batches that each stand for themselves."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from uuid import UUID

from tidemill import sql
from tidemill.acts import Act, Bulk, TaskFilter, Verdict
from tidemill.db import Database
from tidemill.states import Status
from tidemill.store.acts import ActStore

BATCH: Final = 1000
LIMIT: Final = 10_000

_CANCELLABLE: Final = (Status.QUEUED, Status.SCHEDULED, Status.RUNNING)
_RETRIABLE: Final = (Status.SCHEDULED, Status.FAILED)
_DELETABLE: Final = (Status.QUEUED, Status.SCHEDULED, Status.FAILED)
_WAITING: Final = (Status.QUEUED, Status.SCHEDULED)

_ById = Callable[[Sequence[UUID]], Awaitable[dict[UUID, Act]]]


class BulkStore:
    """Acts by filter on `db`.

    An act goes through the matching tasks in the order of their ids, up to `limit` of them; `after`
    goes on where an answer's `next` says. With `dry_run` they are only counted. Each batch commits
    for itself, so what fails half-way has done a part, and can be asked for again.
    """

    def __init__(self, db: Database) -> None:
        """Work on `db`."""
        self._db = db
        self._acts = ActStore(db)

    async def cancel(
        self,
        tasks: TaskFilter,
        *,
        dry_run: bool = False,
        limit: int = LIMIT,
        after: UUID | None = None,
        actor: str | None = None,
    ) -> Bulk:
        """Cancel what waits or runs."""

        async def act(ids: Sequence[UUID]) -> dict[UUID, Act]:
            return await self._acts.cancel(ids, actor=actor)

        return await self._all(tasks, _CANCELLABLE, None if dry_run else act, limit, after)

    async def retry(
        self,
        tasks: TaskFilter,
        *,
        dry_run: bool = False,
        limit: int = LIMIT,
        after: UUID | None = None,
        actor: str | None = None,
    ) -> Bulk:
        """Run now what is scheduled, and replay what failed."""

        async def act(ids: Sequence[UUID]) -> dict[UUID, Act]:
            return await self._acts.retry(ids, actor=actor, only=tasks.status)

        return await self._all(tasks, _RETRIABLE, None if dry_run else act, limit, after)

    async def delete(
        self,
        tasks: TaskFilter,
        *,
        dry_run: bool = False,
        limit: int = LIMIT,
        after: UUID | None = None,
    ) -> Bulk:
        """Delete what waits or has failed."""

        async def act(ids: Sequence[UUID]) -> dict[UUID, Act]:
            return await self._acts.delete(ids, only=tasks.status)

        return await self._all(tasks, _DELETABLE, None if dry_run else act, limit, after)

    async def reprioritise(
        self,
        tasks: TaskFilter,
        priority: int,
        *,
        dry_run: bool = False,
        limit: int = LIMIT,
        after: UUID | None = None,
        actor: str | None = None,
    ) -> Bulk:
        """Give what waits another priority."""

        async def act(ids: Sequence[UUID]) -> dict[UUID, Act]:
            return await self._acts.reprioritise(ids, priority, actor=actor)

        return await self._all(tasks, _WAITING, None if dry_run else act, limit, after)

    async def move(
        self,
        tasks: TaskFilter,
        queue: str,
        *,
        dry_run: bool = False,
        limit: int = LIMIT,
        after: UUID | None = None,
        actor: str | None = None,
    ) -> Bulk:
        """Put what waits into another queue."""

        async def act(ids: Sequence[UUID]) -> dict[UUID, Act]:
            return await self._acts.move(ids, queue, actor=actor)

        return await self._all(tasks, _WAITING, None if dry_run else act, limit, after)

    async def _all(
        self,
        tasks: TaskFilter,
        statuses: Sequence[Status],
        act: _ById | None,
        limit: int,
        after: UUID | None,
    ) -> Bulk:
        wanted = [each.value for each in statuses if tasks.status in (None, each)]
        bulk = Bulk(next=after)
        while bulk.matched < limit:
            most = min(BATCH, limit - bulk.matched)
            ids = await self._select(tasks, wanted, most, bulk.next)
            bulk.matched += len(ids)
            if ids and act:
                _count(bulk, await act(ids))
            bulk.next = ids[-1] if len(ids) == most else None
            if bulk.next is None:
                break
        return bulk

    async def _select(
        self, tasks: TaskFilter, statuses: list[str], most: int, after: UUID | None
    ) -> list[UUID]:
        rows = await self._db.fetch(
            sql.load("tasks_select"),
            most,
            after,
            statuses,
            tasks.queue,
            tasks.type,
            tasks.priority,
            tasks.created_after,
            tasks.created_before,
            tasks.error_type,
        )
        return [row["task_id"] for row in rows]


def _count(bulk: Bulk, acts: dict[UUID, Act]) -> None:
    for act in acts.values():
        match act.verdict:
            case Verdict.DONE:
                bulk.changed += 1
            case Verdict.REQUESTED:
                bulk.requested += 1
            case Verdict.REFUSED:
                bulk.refused += 1
            case Verdict.KEY_TAKEN:
                bulk.key_taken += 1
            case Verdict.MISSING:
                bulk.missing += 1
    claimable = {
        act.queue
        for act in acts.values()
        if act.queue and act.verdict is Verdict.DONE and act.status is Status.QUEUED
    }
    bulk.queues |= claimable
