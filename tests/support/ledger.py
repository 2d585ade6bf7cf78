"""The books of the queue: every task in exactly one place, and statistics equal to the rows."""

# ruff: noqa: E501 - SQL

from typing import Any

from tidemill.db import Database
from tidemill.store import Store

_PLACES = """
SELECT t.id,
       (SELECT count(*) FROM tidemill.ready r WHERE r.task_id = t.id) AS ready,
       (SELECT count(*) FROM tidemill.scheduled s WHERE s.task_id = t.id) AS scheduled,
       (SELECT count(*) FROM tidemill.leases l WHERE l.task_id = t.id) AS leases,
       (SELECT count(*) FROM tidemill.dead_letters d WHERE d.task_id = t.id) AS dead,
       (SELECT array_agg(a.outcome ORDER BY a.token) FROM tidemill.attempts a WHERE a.task_id = t.id) AS outcomes
  FROM tidemill.tasks t
"""
_STRAY = """
SELECT (SELECT count(*) FROM tidemill.ready x WHERE NOT EXISTS (SELECT FROM tidemill.tasks t WHERE t.id = x.task_id))
     + (SELECT count(*) FROM tidemill.scheduled x WHERE NOT EXISTS (SELECT FROM tidemill.tasks t WHERE t.id = x.task_id))
     + (SELECT count(*) FROM tidemill.leases x WHERE NOT EXISTS (SELECT FROM tidemill.tasks t WHERE t.id = x.task_id))
     + (SELECT count(*) FROM tidemill.dead_letters x WHERE NOT EXISTS (SELECT FROM tidemill.tasks t WHERE t.id = x.task_id))
"""
_ENDS = """
SELECT count(*) FILTER (WHERE outcome = 'succeeded') AS succeeded,
       count(*) FILTER (WHERE outcome IN ('retry', 'lease_expired')) AS retries,
       count(*) FILTER (WHERE outcome IN ('retry', 'lease_expired') AND attempt = 1) AS first_retries,
       count(*) FILTER (WHERE outcome = 'failed') AS dead,
       count(*) FILTER (WHERE outcome IN ('retry', 'lease_expired', 'failed')) AS failed_attempts,
       count(*) FILTER (WHERE outcome = 'cancelled') AS cancelled,
       count(*) FILTER (WHERE outcome = 'snoozed') AS snoozed,
       count(*) FILTER (WHERE outcome = 'released') AS released,
       count(*) FILTER (WHERE error ->> 'type' = 'LeaseExpired') AS recovered,
       count(*) + (SELECT count(*) FROM tidemill.leases) AS started
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
)
FINAL = ("succeeded", "failed", "cancelled")


async def balance(store: Store) -> dict[str, int]:
    """Check the books and return how many tasks have which status. Nothing may run meanwhile.

    Suits queues without replayed, moved or deleted tasks.
    """
    statuses = dict.fromkeys(("queued", "scheduled", "running", *FINAL), 0)
    for row in await store.db.fetch(_PLACES):
        statuses[_status(dict(row))] += 1
    assert await store.db.fetchval(_STRAY) == 0, "a row without its task's body"
    counts = (await store.stats.stats()).counts
    assert {name: getattr(counts, f"{name}_tasks") for name in statuses} == statuses
    assert counts.total_tasks == sum(statuses.values())
    expected = dict((await store.db.fetch(_ENDS))[0]) | {"enqueued": sum(statuses.values())}
    for resolution in ("10s", "hour", "day", "all"):
        assert await _flows(store.db, resolution) == expected, resolution
    return statuses


def _status(row: dict[str, Any]) -> str:
    outcomes = row["outcomes"] or []
    where = [name for name in ("ready", "scheduled", "leases") if row[name]]
    assert sum(row[name] for name in ("ready", "scheduled", "leases")) <= 1, row
    ended = sum(outcome in FINAL for outcome in outcomes)
    if where:
        assert ended == 0, row
        assert row["dead"] == 0, row
        return {"ready": "queued", "scheduled": "scheduled", "leases": "running"}[where[0]]
    assert ended == 1, row
    assert outcomes[-1] in FINAL, row
    assert row["dead"] == (outcomes[-1] == "failed"), row
    return str(outcomes[-1])


async def _flows(db: Database, resolution: str) -> dict[str, int]:
    sums = ", ".join(f"coalesce(sum({name}), 0)::bigint AS {name}" for name in _COUNTED)
    text = _FLOWS.format(sums=sums, names=", ".join(_COUNTED))
    return dict((await db.fetch(text, resolution))[0])
