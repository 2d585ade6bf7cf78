"""Dead letters: tasks that failed for good. Replay and deletion are acts (`store.acts`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from tidemill import sql
from tidemill.db import Database
from tidemill.jsontext import loads


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A task that failed for good. `error` is its last attempt's."""

    task_id: UUID
    queue: str
    type: str
    name: str | None
    failed_at: datetime
    retry_count: int
    crash_count: int
    error_type: str | None
    error: dict[str, Any] | None


class DeadLetterStore:
    """Dead letters in `db`."""

    def __init__(self, db: Database) -> None:
        """Work on `db`."""
        self._db = db

    async def list(
        self,
        *,
        queue: str | None = None,
        type: str | None = None,  # noqa: A002 - the field's name
        error_type: str | None = None,
        before: tuple[datetime, UUID] | None = None,
        limit: int = 100,
        queues: Sequence[str] | None = None,
    ) -> list[DeadLetter]:
        """Return those that match, newest first; `before` goes on after (failed_at, task_id).

        `queues` are those that may be seen; None: all.
        """
        at, last = before or (None, None)
        seen = None if queues is None else list(queues)
        rows = await self._db.fetch(
            sql.load("dead_letters"), queue, type, error_type, at, last, limit, seen
        )
        return [DeadLetter(**(dict(row) | {"error": loads(row["error"])})) for row in rows]
