"""Tasks of a type that a worker lacks: they go back uncharged, for a while.

Another worker, or a newer version of this one, may have the type (a rolling deploy). Each return
waits longer than the one before; a task that nobody has run within an hour of its first return is a
dead letter. How often and since when is read from the task's history, for all workers are at it.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from tidemill import sql
from tidemill.db import Database
from tidemill.errors import Fault, UnknownType
from tidemill.models import ClaimedTask, Finish
from tidemill.states import Outcome

SHORTEST_SECONDS: Final = 1.0
LONGEST_SECONDS: Final = 30.0
PATIENCE_SECONDS: Final = 3600.0


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


def judged(task: ClaimedTask, returns: Returns) -> Finish:
    """Return the end of an attempt without a handler, after so many of them."""
    dead = returns.seconds >= PATIENCE_SECONDS
    error = UnknownType(Fault("type", "has no handler in this worker", task.type))
    return Finish(
        lease=task.lease,
        outcome=Outcome.FAILED if dead else Outcome.SNOOZED,
        delay_seconds=None if dead else _delay(returns.times),
        error={"type": type(error).__name__, "message": str(error), "traceback": ""},
    )


def _delay(times: int) -> float:
    most = min(LONGEST_SECONDS, 2 * SHORTEST_SECONDS * 2 ** min(times, 10))
    return random.uniform(most / 2, most)
