"""Registered task types."""

from collections.abc import Sequence

from tidemill import sql
from tidemill.db import Database, Record, column
from tidemill.jsontext import dumps, dumps_or_none, loads
from tidemill.models import TaskType
from tidemill.retry import RetryPolicy


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
        return [_type(row) for row in await self._db.fetch(sql.load("types"))]


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
    )
