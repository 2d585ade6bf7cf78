"""What the scaling decision reads and leaves behind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tidemill import sql
from tidemill.db import Database
from tidemill.jsontext import dumps
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


class ScalingStore:
    """Scaling's view of `db`."""

    def __init__(self, db: Database) -> None:
        """Work on `db`."""
        self._db = db

    async def snapshots(self, *, cap: int, due_seconds: float) -> list[QueueSnapshot]:
        """Return every queue's figures of one moment, waiting tasks counted up to `cap`."""
        rows = await self._db.fetch(sql.load("snapshots"), cap, due_seconds)
        return [QueueSnapshot(**dict(row)) for row in rows]

    async def leases_by_pod(self, pod_uids: Sequence[str]) -> dict[str, int]:
        """Return how many tasks the workers of each pod have in hand; idle pods are left out."""
        rows = await self._db.fetch(sql.load("pod_leases"), pod_uids)
        return {row["pod_uid"]: row["leases"] for row in rows}

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
