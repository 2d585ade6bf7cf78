"""Days gone by, for tests of retention: what was done just now is moved into the past."""

# ruff: noqa: E501, S608 - SQL, and names of this file

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from tests.support import storage
from tidemill.db import Database
from tidemill.states import Outcome
from tidemill.store import Store

_SHIFT = """
CREATE OR REPLACE FUNCTION public.earlier(id uuid, days integer) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex(('x' || left(translate(id::text, '-', ''), 12))::bit(48)::bigint - days * 86400000::bigint), 12, '0')
            || right(translate(id::text, '-', ''), 20))::uuid
$$
"""
_TABLES = {
    "tasks": ("id", ("created_at", "run_at", "expires_at")),
    "attempts": ("task_id", ("started_at", "finished_at", "run_at")),
    "dead_letters": ("task_id", ("failed_at",)),
    "ready": ("task_id", ("ready_at",)),
    "scheduled": ("task_id", ()),
    "leases": ("task_id", ()),
    "idempotency_keys": ("task_id", ()),
}


def day(ago: int) -> date:
    """Return the day so many days ago, by UTC."""
    return datetime.now(UTC).date() - timedelta(days=ago)


def _least_id(moment: str) -> str:
    """As tidemill.uuid_floor does."""
    milliseconds = int(datetime.fromisoformat(moment).timestamp() * 1000)
    return str(UUID(int=milliseconds << 80))


async def make_days(db: Database, *ago: int) -> None:
    """Make the partitions of these days, where they are missing."""
    for each in ago:
        for parent in ("tasks", "attempts"):
            if each > 1 and not await has_day(db, each, parent):
                await db.execute(_day_made(parent, day(each)))


def _day_made(parent: str, which: date) -> str:
    part = f"tidemill.{parent}_{which:%Y%m%d}"
    bounds = [f"{which}T00:00Z", f"{which + timedelta(days=1)}T00:00Z"]
    if parent == "tasks":
        bounds = [_least_id(each) for each in bounds]
    return f"""
        CREATE TABLE {part} (LIKE tidemill.{parent} INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
        ALTER TABLE {part} OWNER TO tidemill_owner;
        ALTER TABLE tidemill.{parent} ATTACH PARTITION {part} FOR VALUES FROM ('{bounds[0]}') TO ('{bounds[1]}');
    """


async def age(db: Database, ids: list[UUID], days: int) -> list[UUID]:
    """Move all that is stored of these tasks into the past; return the ids they have then."""
    await db.execute(_SHIFT)
    await make_days(db, days, days + 1)  # midnight may just have gone by
    for table, (key, times) in _TABLES.items():
        moved = "".join(f", {each} = {each} - make_interval(hours => 24 * $2)" for each in times)
        await db.execute(
            f"UPDATE tidemill.{table} SET {key} = public.earlier({key}, $2){moved} WHERE {key} = ANY ($1)",
            ids,
            days,
        )
    rows = await db.fetch(
        "SELECT public.earlier(u, $2) AS id FROM unnest($1::uuid[]) AS u", ids, days
    )
    return [row["id"] for row in rows]


async def ended(
    store: Store, outcome: Outcome, count: int = 1, *, ago: int = 0, queue: str = "q"
) -> list[UUID]:
    """Let `count` new tasks end, so many days ago; return their ids."""
    made = await storage.enqueue(store, count, queue=queue)
    worker = await storage.worker(store)
    claimed = await storage.claim(store, worker, count, queues=[queue])
    await store.leases.finish(storage.ends(claimed, outcome, error={"type": "E"}))
    ids = [each.id for each in made]
    return await age(store.db, ids, ago) if ago else ids


async def keep(db: Database, queue: str, **seconds: float | None) -> None:
    """Give a queue keep times of its own, made if need be."""
    await db.execute("INSERT INTO tidemill.queues (name) VALUES ($1) ON CONFLICT DO NOTHING", queue)
    for status, value in seconds.items():
        await db.execute(
            f"UPDATE tidemill.queues SET {status}_seconds = $2 WHERE name = $1", queue, value
        )


async def kept(db: Database) -> set[UUID]:
    """Return the ids of all bodies."""
    return {row["id"] for row in await db.fetch("SELECT id FROM tidemill.tasks")}


async def has_day(db: Database, ago: int, parent: str = "tasks") -> bool:
    """Return whether the partition of that day is there."""
    name = f"tidemill.{parent}_{day(ago):%Y%m%d}"
    there: bool = await db.fetchval("SELECT to_regclass($1) IS NOT NULL", name)
    return there


_STRAY = """
SELECT count(*) FROM (
    SELECT task_id FROM tidemill.ready UNION ALL SELECT task_id FROM tidemill.scheduled
    UNION ALL SELECT task_id FROM tidemill.leases UNION ALL SELECT task_id FROM tidemill.dead_letters) AS x
 WHERE NOT EXISTS (SELECT FROM tidemill.tasks t WHERE t.id = x.task_id)
"""
_UNSURE = """
SELECT count(*) FROM tidemill.task_status v
 WHERE v.status = 'failed' AND NOT EXISTS (SELECT FROM tidemill.dead_letters d WHERE d.task_id = v.id)
    OR v.status IN ('succeeded', 'failed', 'cancelled') AND v.completed_at IS NULL
"""
_FLOWS = """
SELECT sum(enqueued - deleted) FROM (
    SELECT enqueued, deleted FROM tidemill.throughput WHERE resolution = 'all'
    UNION ALL SELECT enqueued, deleted FROM tidemill.throughput_deltas) AS f
"""


async def books(store: Store) -> dict[str, int]:
    """Check that figures equal rows and no task is half there; return the number of each status."""
    assert await store.db.fetchval(_STRAY) == 0, "a row without its task's body"
    assert await store.db.fetchval(_UNSURE) == 0, "an ended task without the row of its end"
    rows = await store.db.fetch("SELECT status, count(*) AS n FROM tidemill.task_status GROUP BY 1")
    found = {row["status"]: row["n"] for row in rows}
    for _ in range(2):
        counts = (await store.stats.stats()).counts
        shown = {
            status: getattr(counts, f"{status}_tasks")
            for status in ("queued", "scheduled", "running", "succeeded", "failed", "cancelled")
        }
        assert {status: n for status, n in shown.items() if n} == found
        assert (await store.db.fetchval(_FLOWS) or 0) == sum(found.values())
        await store.upkeep.fold(1000)
    return found
