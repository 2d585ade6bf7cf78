"""What the scaling decision reads and leaves behind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tidemill import sql
from tidemill.db import Database
from tidemill.jsontext import dumps, loads
from tidemill.models import QueueSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRecord:
    """A changed decision, for `explain` and the page."""

    target: str
    queue: str
    replicas: int
    desired: int
    reason: str
    inputs: Mapping[str, Any]
    clamps: Sequence[str] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedDecision:
    """A decision that was kept: by `target` (a TaskQueue, up/HOST), from `replicas` to `desired`.

    `queue` is '*' where it is about all queues that nobody names.
    """

    id: int
    decided_at: datetime
    target: str
    queue: str
    replicas: int
    desired: int
    reason: str
    inputs: Mapping[str, Any]
    clamps: Sequence[str]


class ScalingStore:
    """Scaling's view of `db`."""

    def __init__(self, db: Database) -> None:
        """Work on `db`."""
        self._db = db

    async def snapshots(
        self, *, cap: int, due_seconds: float, due_by_queue: Mapping[str, float] | None = None
    ) -> list[QueueSnapshot]:
        """Return every queue's figures of one moment, waiting tasks counted up to `cap`.

        Tasks due within `due_seconds` are due soon, in the queues of `due_by_queue` within theirs.
        """
        own = due_by_queue or {}
        rows = await self._db.fetch(
            sql.load("snapshots"), cap, due_seconds, list(own), list(own.values())
        )
        return [QueueSnapshot(**dict(row)) for row in rows]

    async def free_connections(self) -> int:
        """Return how many more connections the database takes."""
        free: int = await self._db.fetchval(sql.load("connections_free"))
        return free

    async def record(self, decision: DecisionRecord) -> None:
        """Keep a decision; call it only for one that changed."""
        await self._db.execute(
            sql.load("decision_record"),
            decision.target,
            decision.queue,
            decision.replicas,
            decision.desired,
            decision.reason,
            dumps(dict(decision.inputs)),
            list(decision.clamps),
        )

    async def decisions(
        self, queue: str, *, limit: int = 100, before: tuple[datetime, int] | None = None
    ) -> list[RecordedDecision]:
        """Return up to `limit` decisions about a queue, below a time and id, newest first.

        Those of the TaskQueue that owns it; of a queue without one its own and those for '*'.
        """
        at, below = before or (None, None)
        rows = await self._db.fetch(sql.load("decisions"), queue, at, below, limit)
        if not rows:
            rows = await self._db.fetch(sql.load("decisions_unowned"), queue, at, below, limit)
        return [RecordedDecision(**{**dict(row), "inputs": loads(row["inputs"])}) for row in rows]
