"""Acts on tasks by id: cancel, retry, delete, reprioritise, move.

Each is safe beside claims, completions, promotion and recovery: a statement takes the rows where it
finds them, having waited for whoever was moving them. A task that was between two places meanwhile
is in neither for that statement; so it is looked for again.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from uuid import UUID

from tidemill import sql
from tidemill.acts import Act, Verdict
from tidemill.db import Database, Record, Session
from tidemill.states import Status

ROUNDS: Final = 20
"""How often a task is looked for that is always somewhere else by then; each round it moved."""

_WAITING: Final = frozenset({Status.QUEUED, Status.SCHEDULED})
_LIVE: Final = _WAITING | {Status.RUNNING}

Round = Callable[[list[UUID]], Awaitable[dict[UUID, Act]]]


class ActStore:
    """Acts on tasks in `db`. `actor` is who asks, for the task's history."""

    def __init__(self, db: Database) -> None:
        """Work on `db`."""
        self._db = db

    async def cancel(self, ids: Sequence[UUID], *, actor: str | None = None) -> dict[UUID, Act]:
        """Cancel tasks: at once where they wait; the worker of a running one is asked to.

        A running task keeps the request whatever becomes of its worker; a completion that comes
        first wins. Raises DatabaseUnavailable.
        """

        async def once(tasks: list[UUID]) -> dict[UUID, Act]:
            rows = await self._db.fetch(sql.load("cancel"), tasks, actor)
            workers = sorted({row["worker_id"] for row in rows if row["worker_id"] is not None})
            if workers:
                await self._db.execute(sql.load("cancel_notify"), workers)
            asked = {True: Verdict.REQUESTED, False: Verdict.DONE}
            return {row["task_id"]: _act(row, asked[row["status"] == "running"]) for row in rows}

        return await self._each(ids, once, _LIVE)

    async def retry(
        self, ids: Sequence[UUID], *, actor: str | None = None, only: Status | None = None
    ) -> dict[UUID, Act]:
        """Run tasks now: a scheduled one with the counts it has, a failed one as if it were new.

        A failed task takes its idempotency key back for a day; it stays where another task has it.
        `only` refuses tasks of other statuses.
        """

        async def replay(session: Session, tasks: list[UUID]) -> list[Record]:
            await session.fetch(sql.load("bodies_share"), tasks)
            return await session.fetch(sql.load("replay"), tasks, actor, only)

        def verdict(row: Record) -> Verdict:
            return Verdict.DONE if row["status"] == "queued" else Verdict.KEY_TAKEN

        possible = {Status.SCHEDULED, Status.FAILED} if only is None else {only}
        return await self._each(ids, self._in_transaction(replay, verdict), possible)

    async def delete(self, ids: Sequence[UUID], *, only: Status | None = None) -> dict[UUID, Act]:
        """Delete tasks with their history and key, unless they run. `only`: of this status."""

        async def forget(session: Session, tasks: list[UUID]) -> list[Record]:
            await session.fetch(sql.load("bodies_lock"), tasks)
            return await session.fetch(sql.load("delete"), tasks, only)

        possible = set(Status) - {Status.RUNNING} if only is None else {only}
        return await self._each(ids, self._in_transaction(forget, _done), possible)

    async def reprioritise(
        self, ids: Sequence[UUID], priority: int, *, actor: str | None = None
    ) -> dict[UUID, Act]:
        """Give tasks that wait another priority (-32768 to 32767)."""

        async def change(session: Session, tasks: list[UUID]) -> list[Record]:
            return await session.fetch(sql.load("reprioritise"), tasks, priority, actor)

        return await self._each(ids, self._in_transaction(change, _done), _WAITING)

    async def move(
        self, ids: Sequence[UUID], queue: str, *, actor: str | None = None
    ) -> dict[UUID, Act]:
        """Put tasks that wait into `queue`, made if need be; their idempotency keys go along."""

        async def change(session: Session, tasks: list[UUID]) -> list[Record]:
            await session.execute(sql.load("queue_hold"), queue)
            await session.execute(sql.load("queue_ensure"), queue)
            queue_id = await session.fetchval(sql.load("queue_id"), queue)
            return await session.fetch(sql.load("move"), tasks, queue_id, actor)

        def verdict(row: Record) -> Verdict:
            return Verdict.KEY_TAKEN if row["stuck"] else Verdict.DONE

        return await self._each(ids, self._in_transaction(change, verdict), _WAITING)

    def _in_transaction(
        self,
        act: Callable[[Session, list[UUID]], Awaitable[list[Record]]],
        verdict: Callable[[Record], Verdict],
    ) -> Round:
        async def once(tasks: list[UUID]) -> dict[UUID, Act]:
            async def bounded(session: Session) -> list[Record]:
                await session.execute(sql.load("lock_timeout"))
                return await act(session, tasks)

            rows = await self._db.retrying(bounded)
            return {row["task_id"]: _act(row, verdict(row)) for row in rows}

        return once

    async def _each(
        self, ids: Sequence[UUID], once: Round, possible: frozenset[Status] | set[Status]
    ) -> dict[UUID, Act]:
        """Act until every task has its answer; `possible`: statuses that the act may still find."""
        answers: dict[UUID, Act] = {}
        left = sorted(set(ids), key=lambda each: each.bytes)  # Postgres's order: no deadlocks
        for _ in range(ROUNDS):
            if not left:
                break
            answers |= await once(left)
            left = [each for each in left if each not in answers]
            found = await self._statuses(left)
            for each in left:
                status = found[each].status if each in found else None
                if status is None:
                    answers[each] = Act(Verdict.MISSING)
                elif status not in possible:
                    answers[each] = found[each]
            left = [each for each in left if each not in answers]
        return answers | (await self._statuses(left))

    async def _statuses(self, ids: Sequence[UUID]) -> dict[UUID, Act]:
        if not ids:
            return {}
        rows = await self._db.fetch(sql.load("statuses"), list(ids))
        return {row["task_id"]: _act(row, Verdict.REFUSED) for row in rows}


def _act(row: Record, verdict: Verdict) -> Act:
    return Act(verdict, Status(row["status"]), row["queue"])


def _done(_row: Record) -> Verdict:
    return Verdict.DONE
