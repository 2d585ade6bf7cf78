"""Registered task types."""

from collections.abc import Sequence

from tidemill import sql
from tidemill.db import Database, Record, column
from tidemill.errors import NotFound
from tidemill.jsontext import dumps, dumps_or_none, loads
from tidemill.models import TaskType
from tidemill.retry import RetryPolicy

BATCH = 1000
"""Tasks that a resumed type gets back in one statement."""


class TypeStore:
    """Task types on `db`."""

    def __init__(self, db: Database) -> None:
        """Work on `db`."""
        self._db = db

    async def register(self, types: Sequence[TaskType], *, app: str) -> None:
        """Register `types` for `app`; the newest registration of a name wins."""
        if not types:
            return
        ordered = sorted(types, key=lambda each: each.name)
        await self._db.execute(
            sql.load("types_register"),
            [each.name for each in ordered],
            column(dumps_or_none(each.schema) for each in ordered),
            column(each.description for each in ordered),
            column(each.queue for each in ordered),
            column(each.priority for each in ordered),
            column(each.max_retries for each in ordered),
            column(each.timeout_seconds for each in ordered),
            column(dumps(each.retry.to_json()) if each.retry else None for each in ordered),
            app,
        )

    async def list(self) -> list[TaskType]:
        """Return all registered types by name."""
        return [_type(row) for row in await self._db.fetch(sql.load("types"), None)]

    async def get(self, name: str) -> TaskType | None:
        """Return the type `name`, or None."""
        row = await self._db.fetchrow(sql.load("types"), name)
        return _type(row) if row else None

    async def delete(self, name: str) -> None:
        """Forget the type `name`; its tasks stay, those set aside too. Raises NotFound."""
        self._known(name, await self._db.fetchval(sql.load("type_delete"), name))
        await self._unpark(name)

    async def pause(self, name: str) -> None:
        """Let no task of this type start any more, on any queue. Raises NotFound.

        Tasks of it that are claimed are set aside, so others behind them go on.
        """
        self._known(name, await self._db.fetchval(sql.load("type_pause"), name, True))

    async def resume(self, name: str) -> frozenset[str]:
        """Let tasks of this type start, and bring back those set aside. Raises NotFound.

        Returns the queues that have tasks to claim now.
        """
        self._known(name, await self._db.fetchval(sql.load("type_pause"), name, False))
        return await self._unpark(name)

    async def _unpark(self, name: str) -> frozenset[str]:
        queues: set[str] = set()
        while rows := await self._db.fetch(sql.load("unpark"), name, BATCH):
            queues.update(row["queue"] for row in rows)
        return frozenset(queues)

    @staticmethod
    def _known(name: str, found: str | None) -> None:
        if found is None:
            raise NotFound(f"no task type {name!r} is registered")


def _type(row: Record) -> TaskType:
    return TaskType(
        name=row["name"],
        schema=loads(row["schema"]),
        description=row["description"],
        queue=row["queue"],
        priority=row["priority"],
        max_retries=row["max_retries"],
        timeout_seconds=row["timeout_seconds"],
        retry=RetryPolicy.from_json(loads(row["retry"])) if row["retry"] else None,
        paused=row["paused"],
        app=row["app"],
    )
