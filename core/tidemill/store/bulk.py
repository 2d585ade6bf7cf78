"""Acts on all tasks that match a filter, in batches that each stand for themselves."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from uuid import UUID

from tidemill import sql
from tidemill.acts import Act, Bulk, Reach, TaskFilter, Verdict
from tidemill.db import Database
from tidemill.states import Status
from tidemill.store.acts import ActStore

BATCH: Final = 1000
LONGEST: Final = 10_000
"""Most tasks that one statement looks at, where few of them match."""

_ALL: Final = Reach()

_ById = Callable[[Sequence[UUID]], Awaitable[dict[UUID, Act]]]


class BulkStore:
    """Acts by filter on `db`.

    An act goes through the matching tasks in the order of their ids. Each batch commits for itself,
    so what fails half-way has done a part, and can be asked for again.
    """

    def __init__(self, db: Database) -> None:
        """Work on `db`."""
        self._db = db
        self._acts = ActStore(db)

    async def cancel(
        self, tasks: TaskFilter, reach: Reach = _ALL, *, actor: str | None = None
    ) -> Bulk:
        """Cancel what waits or runs."""
        possible = (Status.QUEUED, Status.SCHEDULED, Status.RUNNING)
        return await self._each(
            tasks, possible, reach, lambda ids: self._acts.cancel(ids, actor=actor)
        )

    async def retry(
        self, tasks: TaskFilter, reach: Reach = _ALL, *, actor: str | None = None
    ) -> Bulk:
        """Run now what is scheduled, and replay what failed."""
        possible = (Status.SCHEDULED, Status.FAILED)
        return await self._each(
            tasks,
            possible,
            reach,
            lambda ids: self._acts.retry(ids, actor=actor, only=tasks.status),
        )

    async def delete(self, tasks: TaskFilter, reach: Reach = _ALL) -> Bulk:
        """Delete what waits or has failed."""
        possible = (Status.QUEUED, Status.SCHEDULED, Status.FAILED)
        return await self._each(
            tasks, possible, reach, lambda ids: self._acts.delete(ids, only=tasks.status)
        )

    async def reprioritise(
        self, tasks: TaskFilter, priority: int, reach: Reach = _ALL, *, actor: str | None = None
    ) -> Bulk:
        """Give what waits another priority."""
        possible = (Status.QUEUED, Status.SCHEDULED)
        return await self._each(
            tasks, possible, reach, lambda ids: self._acts.reprioritise(ids, priority, actor=actor)
        )

    async def move(
        self, tasks: TaskFilter, queue: str, reach: Reach = _ALL, *, actor: str | None = None
    ) -> Bulk:
        """Put what waits into another queue."""
        possible = (Status.QUEUED, Status.SCHEDULED)
        return await self._each(
            tasks, possible, reach, lambda ids: self._acts.move(ids, queue, actor=actor)
        )

    async def _each(
        self, tasks: TaskFilter, possible: Sequence[Status], reach: Reach, act: _ById
    ) -> Bulk:
        wanted = [each.value for each in possible if tasks.status in (None, each)]
        bulk, looking = Bulk(next=reach.after), BATCH
        while bulk.matched < reach.limit:
            most = min(BATCH, reach.limit - bulk.matched)
            ids, bulk.next = await self._select(tasks, wanted, most, looking, bulk.next)
            bulk.matched += len(ids)
            if ids and not reach.dry_run:
                _count(bulk, await act(ids))
            if bulk.next is None:
                break
            looking = BATCH if 2 * len(ids) > most else min(2 * looking, LONGEST)
        return bulk

    async def _select(
        self,
        tasks: TaskFilter,
        statuses: list[str],
        most: int,
        looking: int,
        after: UUID | None,
    ) -> tuple[list[UUID], UUID | None]:
        """Return the next tasks that match, and the id to go on after; None = all were seen."""
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
            looking,
            None if tasks.queues is None else list(tasks.queues),
        )
        looked, last = rows[0]["looked"], rows[0]["last"]
        ids = [row["task_id"] for row in rows if row["task_id"] is not None]
        if len(ids) == most and ids[-1] != last:
            return ids, ids[-1]
        return ids, last if looked == looking else None


def _count(bulk: Bulk, acts: dict[UUID, Act]) -> None:
    verdicts = [act.verdict for act in acts.values()]
    bulk.changed += verdicts.count(Verdict.DONE)
    bulk.requested += verdicts.count(Verdict.REQUESTED)
    bulk.refused += verdicts.count(Verdict.REFUSED)
    bulk.key_taken += verdicts.count(Verdict.KEY_TAKEN)
    bulk.missing += verdicts.count(Verdict.MISSING)
    bulk.queues |= {
        act.queue
        for act in acts.values()
        if act.queue and act.verdict is Verdict.DONE and act.status is Status.QUEUED
    }
