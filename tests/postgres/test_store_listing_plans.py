"""Plans of lists with very many tasks: a stretch by index, and nothing beyond it."""

# ruff: noqa: E501, S608 - SQL, of a number of this file

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from tests.support import plans
from tests.support.full import WAYS, Way
from tidemill.address import connect_options
from tidemill.db import Database
from tidemill.settings import Settings

TASKS, PAGE, STRETCH = 40_000, 50, 200
STATUSES = ("queued", "scheduled", "running", "failed", "succeeded")
LARGE = ("tasks_", "attempts_", "ready", "scheduled", "leases", "dead_letters")

# Task n has the status n % 5 and was made on one of four days.
_FILL = f"""
CREATE TEMP TABLE made AS
SELECT n, n % 5 AS place, at, (substr(tidemill.uuid_floor(at)::text, 1, 24) || lpad(to_hex(n), 12, '0'))::uuid AS id
  FROM generate_series(1, {TASKS}) AS n, LATERAL (SELECT now() + (n % 4) * interval '1 day') AS d (at);
INSERT INTO tidemill.queues (name) VALUES ('q');
INSERT INTO tidemill.workers (name, slots, queues, version, hostname, pid) SELECT 'w', 1, '{{*}}', '0', 'h', n FROM generate_series(1, 100) AS n;
INSERT INTO tidemill.tasks (id, queue_id, type, priority, max_retries, timeout_seconds, created_at, payload)
SELECT id, 1, 't' || n % 1000, 0, 3, 300, at, '{{}}' FROM made;
INSERT INTO tidemill.ready (task_id, queue_id, priority, lane, ready_at) SELECT id, 1, 0, 1, at FROM made WHERE place = 0;
INSERT INTO tidemill.scheduled (run_at, task_id, queue_id, priority) SELECT now() + interval '9 days', id, 1, 0 FROM made WHERE place = 1;
INSERT INTO tidemill.leases (task_id, lease_token, worker_id, locked_until, claimed_at, seq, queue_id, priority, retry_count, crash_count)
SELECT id, n, 1 + n % 100, now() + interval '1 hour', now(), n, 1, 0, 0, 0 FROM made WHERE place = 2;
INSERT INTO tidemill.attempts (task_id, token, queue_id, worker_id, attempt, finished_at, outcome, retry_count)
SELECT id, n, 1, 1, 1, at, CASE place WHEN 3 THEN 'failed' ELSE 'succeeded' END, 0 FROM made WHERE place > 2;
INSERT INTO tidemill.dead_letters (task_id, queue_id, type, failed_at, retry_count, crash_count) SELECT id, 1, 't', at, 0, 0 FROM made WHERE place = 3;
"""


class Lists:
    """A filled database, and a connection for each way to come by a plan."""

    def __init__(self, connections: dict[Way, Any]) -> None:
        self._connections = connections

    async def scans(self, way: Way, name: str, *args: Any) -> list[plans.Scan]:
        run = plans.explained if way == "values" else plans.executed
        found = plans.scans(await run(self._connections[way], name, *args))
        return [scan for scan in found if scan.table.startswith(LARGE) and scan.loops]


@pytest.fixture
async def lists(db: Database, settings: Settings) -> AsyncIterator[Lists]:
    connections: dict[Way, Any] = {}
    for way in WAYS:
        options = connect_options(settings, application="tests")
        connections[way] = await asyncpg.connect(**options)
    await prepare(connections["cached while empty"])
    async with db.transaction() as session:
        await session.connection.execute(_FILL)
    await db.execute("VACUUM ANALYZE")
    await prepare(connections["cached"])
    yield Lists(connections)
    for connection in connections.values():
        await connection.close()


async def prepare(connection: Any) -> None:
    await plans.prepare(connection, "tasks_list", *page())
    await plans.prepare(connection, "workers_list", None, PAGE, None)


def page(status: str | None = None, kind: str | None = None) -> list[Any]:
    looked = STRETCH if kind else PAGE
    return [status, None, kind, None, None, None, None, PAGE, looked, None]


def by_index(found: list[plans.Scan]) -> dict[str, float]:
    """Return the rows looked at, by table; all of them by index."""
    read: dict[str, float] = {}
    for scan in found:
        assert scan.kind in ("Index Scan", "Index Only Scan"), scan
        table = scan.table.partition("_2")[0]
        read[table] = read.get(table, 0) + scan.rows
    return read


@pytest.mark.parametrize("way", WAYS)
async def test_a_stretch_reads_what_it_looks_at(lists: Lists, way: Way) -> None:
    where = {"queued": "ready", "running": "leases", "failed": "dead_letters"}
    for status in (None, *STATUSES):
        read = by_index(await lists.scans(way, "tasks_list", *page(status)))
        place = where.get(status or "", status or "")
        assert read["tasks"] >= PAGE
        for table, rows in read.items():
            # walked, looked at by id, then shown: for each once
            assert rows <= PAGE * (3 if table == "tasks" else 2), (status, table, rows)
        unread = {"ready", "scheduled", "leases", "dead_letters"} - {place}
        if status in ("queued", "scheduled", "running", "failed"):
            assert not {table for table in unread if read.get(table)}, (status, read)


@pytest.mark.parametrize("way", WAYS)
async def test_a_filter_asks_for_the_status_of_what_fits_only(lists: Lists, way: Way) -> None:
    read = by_index(await lists.scans(way, "tasks_list", *page(kind="t3")))
    assert read["tasks"] <= 2 * STRETCH + 5
    assert sum(rows for table, rows in read.items() if table != "tasks") <= 5


@pytest.mark.parametrize("way", WAYS)
async def test_the_newest_of_a_queue_cost_a_stretch_however_many_it_has(
    lists: Lists, way: Way
) -> None:
    """What a watch of /api/events asks for, of a queue that has all tasks, and of one with none."""
    for queue, most in (("q", 3 * STRETCH), ("unborn", 2 * STRETCH + 5)):
        args = [None, queue, *[None] * 5, PAGE, STRETCH, None]
        assert by_index(await lists.scans(way, "tasks_list", *args))["tasks"] <= most


@pytest.mark.parametrize("way", WAYS)
async def test_the_walk_ends_in_the_newest_days(lists: Lists, way: Way) -> None:
    found = await lists.scans(way, "tasks_list", *page())
    walked = [scan for scan in found if scan.table.startswith("tasks_") and scan.loops == 1]
    assert sum(scan.rows > 0 for scan in walked) <= 2


@pytest.mark.parametrize("way", WAYS)
async def test_workers_count_their_own_leases(lists: Lists, way: Way) -> None:
    read = by_index(await lists.scans(way, "workers_list", None, PAGE, None))
    assert read["leases"] <= PAGE * TASKS / 5 / 100 + 1
