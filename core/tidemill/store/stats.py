"""Exact figures, never by scanning tasks."""

from collections.abc import Sequence

from tidemill import sql
from tidemill.db import Database, Record
from tidemill.models import Counts, QueueStats, Stats

RATE_SECONDS = 60.0


class StatsStore:
    """Figures of `db`."""

    def __init__(self, db: Database) -> None:
        """Work on `db`."""
        self._db = db

    async def stats(self, queues: Sequence[str] | None = None) -> Stats:
        """Return the figures of `queues` (None: of all) and their sum, all of one moment."""
        seen = None if queues is None else list(queues)
        rows = await self._db.fetch(sql.load("stats"), RATE_SECONDS, seen)
        return Stats(counts=_counts(rows), queues=tuple(_queue(row) for row in rows))


def _queue(row: Record) -> QueueStats:
    return QueueStats(
        queue=row["name"],
        paused=row["paused"],
        counts=_counts([row]),
        oldest_queued_seconds=max(0.0, row["oldest_seconds"]),
        enqueued_per_second=row["enqueued_per_second"],
        finished_per_second=row["finished_per_second"],
    )


def _counts(rows: Sequence[Record]) -> Counts:
    def total(name: str) -> int:
        return sum(row[name] for row in rows)

    statuses = ("queued", "scheduled", "running", "succeeded", "failed", "cancelled")
    by_status = {f"{status}_tasks": total(status) for status in statuses}
    enqueued = total("enqueued")
    return Counts(
        total_tasks=sum(by_status.values()),
        **by_status,
        avg_retry_count=total("retries") / enqueued if enqueued else 0.0,
        tasks_with_retries=total("first_retries"),
    )
