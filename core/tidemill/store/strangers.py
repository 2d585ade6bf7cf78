"""Tasks of a type that no worker seems to know: how often they went back, and since when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tidemill import sql
from tidemill.db import Database


@dataclass(frozen=True, slots=True)
class Returns:
    """How often in a row a task went back for its type, and how many seconds ago it first did."""

    times: int = 0
    seconds: float = 0.0


class StrangerStore:
    """The memory of `db`."""

    def __init__(self, db: Database) -> None:
        """Work on `db`."""
        self._db = db

    async def returns(self, task_ids: Sequence[UUID], since: datetime) -> dict[UUID, Returns]:
        """Return what is known of these tasks; those that never went back are left out.

        `since` is a time before any of them can have been claimed.
        """
        rows = await self._db.fetch(sql.load("unknown_returns"), list(task_ids), since)
        return {row["task_id"]: Returns(row["times"], row["seconds"]) for row in rows}
