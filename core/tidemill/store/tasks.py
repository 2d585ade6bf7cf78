"""Producers and readers: enqueue, look up, history."""

from collections.abc import Sequence
from functools import partial
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

from tidemill import sql
from tidemill.db import Database, Record, Session, column
from tidemill.dberrors import unheard
from tidemill.errors import (
    DatabaseUnavailable,
    IdempotencyConflict,
    InvalidTask,
    OutcomeUnknown,
    QueueFull,
)
from tidemill.jsontext import dumps, dumps_or_none, loads
from tidemill.models import Enqueued, HistoryEvent, NewTask, Task
from tidemill.states import Status
from tidemill.store.history import events
from tidemill.store.parts import Part, moved, told
from tidemill.store.rules import MAX_PAYLOAD_BYTES, faults


class TaskStore:
    """Tasks as producers and readers see them."""

    def __init__(self, db: Database) -> None:
        """Work on `db`."""
        self._db = db

    async def enqueue(
        self,
        tasks: Sequence[NewTask],
        *,
        unknown_types: str = "accept",
        max_payload_bytes: int = MAX_PAYLOAD_BYTES,
        create_queues: bool = True,
    ) -> list[Enqueued]:
        """Store all tasks or none, and return an answer for each, in order.

        Raises InvalidTask (every fault of every task; also a queue that does not exist, where
        `create_queues` is off), UnknownType, IdempotencyConflict, QueueFull, DatabaseUnavailable
        (nothing is stored) or OutcomeUnknown.
        """
        if not tasks:
            return []
        return await self._enqueue(
            enqueue_arguments(tasks, unknown_types, max_payload_bytes, create_queues)
        )

    async def enqueue_parts(self, parts: Sequence[Part]) -> list[Enqueued]:
        """Store the tasks of all `parts` or none, as `enqueue` does with those of one.

        In one transaction, a statement a part; nothing is waited for between them but Postgres.
        """
        if len(parts) == 1:
            return await self._enqueue(parts[0].arguments)
        committing = False

        async def insert(session: Session) -> list[Enqueued]:
            nonlocal committing
            committing = False
            made: list[Enqueued] = []
            for part in parts:
                try:
                    rows = await session.fetch(sql.load("enqueue"), *part.arguments)
                except (InvalidTask, IdempotencyConflict, QueueFull) as error:
                    told(error, partial(moved, by=len(made)))
                    raise
                made += [_enqueued(row) for row in rows]
            committing = True
            return made

        try:
            return await self._db.retrying(insert)
        except DatabaseUnavailable as error:
            if committing and unheard(error):
                raise OutcomeUnknown(str(error)) from error.__cause__
            raise

    async def _enqueue(self, args: Sequence[Any]) -> list[Enqueued]:
        sent = False

        async def insert(session: Session) -> list[Record]:
            nonlocal sent
            sent = True
            return await session.fetch(sql.load("enqueue"), *args)

        try:
            rows = await self._db.repeating(insert)
        except DatabaseUnavailable as error:
            if sent and unheard(error):
                raise OutcomeUnknown(str(error)) from error.__cause__
            raise
        return [_enqueued(row) for row in rows]

    async def get(self, task_id: UUID) -> Task | None:
        """Return the task as it is now, or None."""
        row = await self._db.fetchrow(sql.load("task"), task_id)
        return _task(row) if row else None

    async def ended(self, ids: Sequence[UUID]) -> dict[UUID, Task | None]:
        """Return those of the tasks that have ended, and None for each that does not exist."""
        rows = await self._db.fetch(sql.load("ended"), list(ids))
        return {row["asked"]: None if row["id"] is None else _task(row) for row in rows}

    async def queues(self, ids: Sequence[UUID]) -> dict[UUID, str]:
        """Return the queue of each of these tasks that exists."""
        rows = await self._db.fetch(sql.load("statuses"), list(ids))
        return {row["task_id"]: row["queue"] for row in rows}

    async def history(self, task_id: UUID) -> list[HistoryEvent]:
        """Return what happened to the task, oldest first; empty when there is no such task."""
        # One snapshot: an end recorded between the two reads would stand beside "running".
        async with self._db.transaction(snapshot=True) as session:
            row = await session.fetchrow(sql.load("task"), task_id)
            if row is None:
                return []
            task = _task(row)
            rows = await session.fetch(sql.load("attempts"), task_id, task.created_at)
        return events(task, [dict(each, error=loads(each["error"])) for each in rows])


def enqueue_arguments(
    tasks: Sequence[NewTask],
    unknown_types: str,
    max_payload_bytes: int,
    create_queues: bool = True,
) -> tuple[Any, ...]:
    """Return the parameters of `enqueue.sql`. Raises InvalidTask naming every fault."""
    payloads: list[str] = []
    if found := faults(tasks, payloads, max_payload_bytes):
        raise InvalidTask(*found)
    return (
        [task.type for task in tasks],
        payloads,
        *map(column, zip(*map(_before_retry, tasks), strict=True)),
        column(dumps(task.retry.to_json()) if task.retry else None for task in tasks),
        *map(column, zip(*map(_after_retry, tasks), strict=True)),
        column(dumps_or_none(task.headers) for task in tasks),
        unknown_types,
        create_queues,
    )


# Columns as the statement takes them: by one look at each task, not one a column.
_before_retry = attrgetter(
    "queue", "name", "priority", "run_at", "delay_seconds", "max_retries", "timeout_seconds"
)
_after_retry = attrgetter("idempotency_key", "idempotency_ttl_seconds", "expires_at")
_STATUS: Final[dict[str | None, Status | None]] = {None: None} | {
    each.value: each for each in Status
}


def _enqueued(row: Record) -> Enqueued:
    # in the order of the statement's columns: by name would cost twice this
    id_, status, created, queue, priority, retries, timeout, retry, created_at, run_at = row
    return Enqueued(
        id_,
        _STATUS[status],
        created,
        queue,
        priority,
        retries,
        timeout,
        loads(retry),
        created_at,
        run_at,
    )


def _task(row: Record) -> Task:
    values = dict(row)
    del values["queue_id"]
    values.pop("asked", None)
    for name in ("payload", "headers", "retry", "last_error", "result", "progress"):
        values[name] = loads(values[name])
    values["status"] = Status(values["status"])
    return Task(**values)
