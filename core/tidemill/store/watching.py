"""Tasks that somebody watches: many at once, as they are now."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tidemill import sql
from tidemill.db import Database
from tidemill.jsontext import loads
from tidemill.states import Status
from tidemill.store.listing import ListedTask


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedTask(ListedTask):
    """A listed task, and how far it is while it runs."""

    progress: dict[str, Any] | None


class WatchStore:
    """Reads watched tasks from `db`."""

    def __init__(self, db: Database) -> None:
        """Read `db`."""
        self._db = db

    async def tasks(self, ids: Sequence[UUID]) -> dict[UUID, WatchedTask]:
        """Return those of the tasks that exist, by id."""
        rows = await self._db.fetch(sql.load("watched"), list(ids))
        found: dict[UUID, WatchedTask] = {}
        for row in rows:
            values = dict(row)
            values["last_error"] = loads(values["last_error"])
            values["progress"] = loads(values["progress"])
            values["status"] = Status(values["status"])
            found[row["id"]] = WatchedTask(**values)
        return found
