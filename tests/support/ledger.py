"""The books of the queue: every task in exactly one place, and statistics equal to the rows."""

# ruff: noqa: E501, S608 - SQL, of this file's own texts

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any
from uuid import UUID

from tidemill.db import Database
from tidemill.store import Store

_PLACES = """
SELECT t.id, q.name AS queue,
       (SELECT count(*) FROM tidemill.ready r WHERE r.task_id = t.id AND r.queue_id = t.queue_id AND r.priority = t.priority) AS ready,
       (SELECT count(*) FROM tidemill.scheduled s WHERE s.task_id = t.id AND s.queue_id = t.queue_id AND s.priority = t.priority) AS scheduled,
       (SELECT count(*) FROM tidemill.leases l WHERE l.task_id = t.id AND l.queue_id = t.queue_id AND l.priority = t.priority) AS leases,
       (SELECT count(*) FROM tidemill.dead_letters d WHERE d.task_id = t.id AND d.queue_id = t.queue_id) AS dead,
       (SELECT array_agg(a.outcome ORDER BY a.token) FROM tidemill.attempts a WHERE a.task_id = t.id) AS outcomes
  FROM tidemill.tasks t JOIN tidemill.queues q ON q.id = t.queue_id
"""
_STRAY = " + ".join(
    f"(SELECT count(*) FROM tidemill.{table} x WHERE NOT EXISTS (SELECT FROM tidemill.tasks t WHERE t.id = x.task_id AND t.queue_id = x.queue_id))"
    for table in ("ready", "scheduled", "leases", "dead_letters")
)
_ENDS = """
SELECT count(*) FILTER (WHERE outcome = 'succeeded') AS succeeded,
       count(*) FILTER (WHERE outcome IN ('retry', 'lease_expired')) AS retries,
       count(*) FILTER (WHERE outcome IN ('retry', 'lease_expired') AND attempt = 1) AS first_retries,
       count(*) FILTER (WHERE outcome = 'failed') AS dead,
       count(*) FILTER (WHERE outcome IN ('retry', 'lease_expired', 'failed')) AS failed_attempts,
       count(*) FILTER (WHERE outcome = 'cancelled') AS cancelled,
       count(*) FILTER (WHERE outcome = 'snoozed') AS snoozed,
       count(*) FILTER (WHERE outcome = 'released') AS released,
       count(*) FILTER (WHERE outcome = 'replayed') AS replayed,
       count(*) FILTER (WHERE error ->> 'type' = 'LeaseExpired') AS recovered,
       count(*) FILTER (WHERE worker_id IS NOT NULL) AS started
  FROM tidemill.attempts
"""
_FLOWS = """
SELECT {sums} FROM (
    SELECT {names} FROM tidemill.throughput WHERE resolution = $1
    UNION ALL
    SELECT {names} FROM tidemill.throughput_deltas) AS both_kinds
"""
_COUNTED = (
    "enqueued",
    "started",
    "succeeded",
    "retries",
    "first_retries",
    "dead",
    "failed_attempts",
    "cancelled",
    "snoozed",
    "released",
    "recovered",
    "replayed",
    "deleted",
)
_PLACED = {"ready": "queued", "scheduled": "scheduled", "leases": "running"}
STATUSES = ("queued", "scheduled", "running", "succeeded", "failed", "cancelled")
FINAL = ("succeeded", "failed", "cancelled")
_NO_ENDS = ("moved", "reprioritised")


async def balance(store: Store, forgotten: Mapping[str, int] | None = None) -> dict[str, int]:
    """Check the books and return how many tasks have which status. Nothing may run meanwhile.

    `forgotten`: what the history of deleted tasks had counted up to (sums of `flows`).
    """
    counts = Counter((await places(store, forgotten)).values())
    return {status: counts[status] for status in STATUSES}


async def places(store: Store, forgotten: Mapping[str, int] | None = None) -> dict[UUID, str]:
    """Check the books and return the status of each task that there is."""
    found = {row["id"]: (row["queue"], _status(dict(row))) for row in await store.db.fetch(_PLACES)}
    assert await store.db.fetchval(f"SELECT {_STRAY}") == 0, "a row that is not its task's"
    await _counts_agree(store, found.values())
    expected = Counter(dict((await store.db.fetch(_ENDS))[0])) + Counter(forgotten or {})
    expected["started"] += sum(status == "running" for _, status in found.values())
    expected["enqueued"] = len(found) + expected["deleted"]
    for resolution in ("10s", "hour", "day", "all"):
        seen = await _flows(store.db, resolution)
        assert seen == {name: expected[name] for name in _COUNTED}, resolution
    return {task_id: status for task_id, (_, status) in found.items()}


async def flows(db: Database, ids: Sequence[UUID]) -> Counter[str]:
    """Return what these tasks' history counts up to: ask before they are deleted."""
    rows = await db.fetch(f"{_ENDS} WHERE task_id = ANY ($1::uuid[])", list(ids))
    return Counter(dict(rows[0]) | {"deleted": len(ids)})


async def _counts_agree(store: Store, found: Any) -> None:
    by_queue = Counter(found)
    stats = await store.stats.stats()
    for each in stats.queues:
        counts = {status: getattr(each.counts, f"{status}_tasks") for status in STATUSES}
        assert counts == {name: by_queue[each.queue, name] for name in STATUSES}, each.queue
    totals = {status: getattr(stats.counts, f"{status}_tasks") for status in STATUSES}
    assert totals == {
        name: sum(n for (_, status), n in by_queue.items() if status == name) for name in STATUSES
    }
    assert stats.counts.total_tasks == by_queue.total()


def _status(row: dict[str, Any]) -> str:
    outcomes = [each for each in row["outcomes"] or [] if each not in _NO_ENDS]
    where = [name for name in _PLACED if row[name]]
    assert sum(row[name] for name in _PLACED) <= 1, row
    last = outcomes[-1] if outcomes else None
    for before, after in pairwise(outcomes):
        assert before not in FINAL or (before, after) == ("failed", "replayed"), row
    if where:
        assert last not in FINAL, row
        assert row["dead"] == 0, row
        return _PLACED[where[0]]
    assert last in FINAL, row
    assert row["dead"] == (last == "failed"), row
    return str(last)


async def _flows(db: Database, resolution: str) -> dict[str, int]:
    sums = ", ".join(f"coalesce(sum({name}), 0)::bigint AS {name}" for name in _COUNTED)
    text = _FLOWS.format(sums=sums, names=", ".join(_COUNTED))
    return dict((await db.fetch(text, resolution))[0])
