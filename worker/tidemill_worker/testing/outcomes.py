"""What became of the tasks that a test let run."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from tidemill import sql
from tidemill.db import Database
from tidemill.jsontext import loads
from tidemill.states import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One attempt, as it was recorded. `run_at`: when the task runs again, after a retry, say."""

    task_id: UUID
    type: str
    queue: str
    payload: Any
    attempt: int
    outcome: Outcome
    result: Any
    error: dict[str, Any] | None
    run_at: datetime | None

    def __str__(self) -> str:
        """Return it as a line of a list."""
        why = f": {self.error['type']}: {self.error['message']}" if self.error else ""
        return f"{self.type} (attempt {self.attempt}) {self.outcome}{why}"


async def outcomes(db: Database, worker_id: int) -> list[Ran]:
    """Return the ends of the worker's attempts, in order."""
    found: list[Ran] = []
    for row in await db.fetch(sql.load("worker_attempts"), worker_id):
        values = dict(row)
        for name in ("payload", "result", "error"):
            values[name] = loads(values[name])
        values["outcome"] = Outcome(values["outcome"])
        found.append(Ran(**values))
    return found
