"""Plans of retention's statements on full days: by index or place, only what goes, few days."""

# ruff: noqa: E501 - SQL

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from tests.support import past, plans
from tests.support.full import WAYS, Way
from tidemill.db import Database
from tidemill.settings import Settings
from tidemill.store import passes

DONE, DEAD, WAITING, BATCH = 20_000, 5_000, 5_000, 100
DAYS = (6, 8, 9)
PINNED = "SET enable_seqscan = off; SET enable_bitmapscan = off; SET jit = off"

_FILL = """
WITH made AS (
    SELECT n, $1::timestamptz + n * interval '2 s' AS at,
           overlay(tidemill.uuid_floor($1::timestamptz + n * interval '2 s')::text PLACING lpad(to_hex(n), 12, '0') FROM 25)::uuid AS id
      FROM generate_series(1, $2::integer) AS n
), bodies AS (
    INSERT INTO tidemill.tasks (id, queue_id, type, priority, max_retries, timeout_seconds, created_at, payload, idempotency_key, expires_at)
    SELECT id, 1 + n % 3, 't', 0, 3, 300, at, '{}', $3 || n, CASE WHEN $4 = 'waiting' THEN at END FROM made
), keys AS (
    INSERT INTO tidemill.idempotency_keys (queue_id, key, task_id, fingerprint, expires_at)
    SELECT 1 + n % 3, $3 || n, id, '', now() + interval '1 day' FROM made
), ends AS (
    INSERT INTO tidemill.attempts (task_id, token, queue_id, worker_id, attempt, started_at, finished_at, outcome, retry_count)
    SELECT id, n, 1 + n % 3, 1, 1, at, at, $4, 0 FROM made WHERE $4 <> 'waiting'
), letters AS (
    INSERT INTO tidemill.dead_letters (task_id, queue_id, type, failed_at, retry_count, crash_count)
    SELECT id, 1 + n % 3, 't', at, 0, 0 FROM made WHERE $4 = 'failed'
), queued AS (
    INSERT INTO tidemill.ready (task_id, queue_id, priority, lane, ready_at)
    SELECT id, 1 + n % 3, 0, 1, at FROM made WHERE $4 = 'waiting' AND n % 2 = 0
)
INSERT INTO tidemill.scheduled (run_at, task_id, queue_id, priority)
SELECT at, id, 1 + n % 3, 0 FROM made WHERE $4 = 'waiting' AND n % 2 = 1
"""


def calls() -> dict[str, list[Any]]:
    starts = passes.start_of(past.day(9))
    week = 7 * passes.DAY_SECONDS
    bounds = [starts, starts + timedelta(days=1), (0, 0), (passes.PAGES, 0)]
    return {
        "thin": [*bounds, week, week, week, BATCH],
        "thin_dead_letters": [week, BATCH],
        "expire_waiting": [starts - timedelta(days=400), UUID(int=0), BATCH],
    }


MOST = {
    # of the pages as many ends as were needed, then the last ones again for the deletion
    "thin": {"attempts": 3 * BATCH, "tasks": 2 * BATCH},
    "thin_dead_letters": {
        "dead_letters": 2 * BATCH,
        "attempts": BATCH,
        "tasks": 2 * BATCH,
        "idempotency_keys": 2 * BATCH,
    },
    "expire_waiting": {
        "tasks": BATCH + 2 * len(DAYS),
        "ready": BATCH,
        "scheduled": BATCH,
        "idempotency_keys": 2 * BATCH,
    },
}


async def fill(db: Database) -> None:
    await db.execute("INSERT INTO tidemill.queues (name) VALUES ('a'), ('b'), ('c')")
    for ago in DAYS:
        day = passes.start_of(past.day(ago))
        await db.execute(_FILL, day, DONE, f"d{ago}-", "succeeded")
        await db.execute(_FILL, day + timedelta(hours=11.5), DEAD, f"f{ago}-", "failed")
        await db.execute(_FILL, day + timedelta(hours=15), WAITING, f"w{ago}-", "waiting")


@pytest.fixture
async def connection(db: Database, settings: Settings) -> AsyncIterator[Any]:
    await past.make_days(db, *range(2, 13))
    opened = await asyncpg.connect(settings.database_url)
    await opened.execute(PINNED)
    yield opened
    await opened.close()


@pytest.mark.parametrize("way", WAYS)
async def test_only_what_goes_is_looked_at_and_in_its_days(
    db: Database, connection: Any, way: Way
) -> None:
    if way == "cached while empty":
        for name, args in calls().items():
            await plans.prepare(connection, name, *args)
    await fill(db)
    if way != "cached while empty":
        await db.execute("VACUUM ANALYZE")
    for name, args in calls().items():
        if way == "cached":
            await plans.prepare(connection, name, *args)
        run = plans.explained if way == "values" else plans.executed
        found = plans.scans(await run(connection, name, *args))
        check(name, [scan for scan in found if scan.loops])


def check(name: str, found: list[plans.Scan]) -> None:
    rows: dict[str, float] = {}
    for scan in found:
        table, _, day = scan.table.partition("_2")
        if table not in {"queues", "retention_marks"}:
            assert scan.kind in {"Index Scan", "Index Only Scan", "Tid Scan", "Tid Range Scan"}, (
                scan
            )
            rows[table] = rows.get(table, 0) + scan.rows
        if name == "thin" and day:
            assert f"2{day}" in {f"{past.day(ago):%Y%m%d}" for ago in (8, 9, 10)}, scan
    most = MOST[name]
    assert not {table: n for table, n in rows.items() if n > most.get(table, 0)}, (name, rows)
    assert rows["tasks"] >= BATCH
