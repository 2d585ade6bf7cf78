"""Plans of figures over time and of scaling decisions: a range by index, and nothing beyond it."""

# ruff: noqa: E501, S608 - SQL, of numbers of this file

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from tests.support import plans
from tests.support.full import WAYS, Way
from tidemill.address import connect_options
from tidemill.db import Database
from tidemill.settings import Settings

QUEUES, BUCKETS, DECISIONS, TARGETS, PAGE = 5, 8640, 40_000, 40, 50
MINUTES = 60
BY_INDEX = ("Index Scan", "Index Only Scan", "Bitmap Heap Scan")

_FILL = f"""
INSERT INTO tidemill.queues (name, owner_name) SELECT 'q' || n, 'ns/t' || n FROM generate_series(1, {TARGETS}) AS n;
INSERT INTO tidemill.throughput
SELECT r.resolution, now() - n * r.length, q, {", ".join(["1"] * 13)}, 1.0, NULL, {", ".join(["0"] * 6)}
  FROM generate_series(0, {BUCKETS} - 1) AS n, generate_series(1, {QUEUES}) AS q,
       (VALUES ('10s', interval '10 s'), ('hour', interval '1 hour')) AS r (resolution, length);
INSERT INTO tidemill.queues (name) VALUES ('nobodys');
INSERT INTO tidemill.scaling_decisions (decided_at, target, queue, replicas, desired, reason, inputs)
SELECT now() - n * interval '10 s', 'ns/all', CASE WHEN n % 2 = 0 THEN '*' ELSE 'nobodys' END, 1, 2, 'r', '{{}}'
  FROM generate_series(1, {DECISIONS} / 10) AS n;
INSERT INTO tidemill.scaling_decisions (decided_at, target, queue, replicas, desired, reason, inputs)
SELECT now() - n * interval '10 s', 'ns/t' || 1 + n % {TARGETS}, 'q' || 1 + n % {TARGETS}, 1, 2, 'r', '{{}}'
  FROM generate_series(1, {DECISIONS}) AS n;
"""


class Filled:
    """A filled database, and a connection for each way to come by a plan."""

    def __init__(self, connections: dict[Way, Any]) -> None:
        self._connections = connections

    async def scans(self, way: Way, table: str, name: str, *args: Any) -> list[plans.Scan]:
        run = plans.explained if way == "values" else plans.executed
        found = plans.scans(await run(self._connections[way], name, *args))
        return [scan for scan in found if scan.table == table and scan.loops]


@pytest.fixture
async def filled(db: Database, settings: Settings) -> AsyncIterator[Filled]:
    connections: dict[Way, Any] = {}
    for way in WAYS:
        connections[way] = await asyncpg.connect(**connect_options(settings, application="tests"))
    await prepare(connections["cached while empty"])
    async with db.transaction() as session:
        await session.connection.execute(_FILL)
    await db.execute("VACUUM ANALYZE")
    await prepare(connections["cached"])
    yield Filled(connections)
    for connection in connections.values():
        await connection.close()


async def prepare(connection: Any) -> None:
    await plans.prepare(connection, "trends", *an_hour())
    await plans.prepare(connection, "decisions", "q1", None, None, PAGE)
    await plans.prepare(connection, "decisions_unowned", "nobodys", None, None, PAGE)


def an_hour() -> list[Any]:
    now = datetime.now(UTC)
    return ["10s", 60.0, now - timedelta(minutes=MINUTES), now + timedelta(hours=1), ["q1"]]


@pytest.mark.parametrize("way", WAYS)
async def test_an_hour_reads_the_buckets_of_an_hour(filled: Filled, way: Way) -> None:
    (scan,) = await filled.scans(way, "throughput", "trends", *an_hour())
    assert scan.kind in BY_INDEX
    assert scan.rows <= (MINUTES * 6 + 1) * QUEUES


@pytest.mark.parametrize("way", WAYS)
async def test_a_page_of_decisions_reads_a_page(filled: Filled, way: Way) -> None:
    later = datetime.now(UTC) - timedelta(days=1)
    for cursor in ((None, None), (later, DECISIONS)):
        args = ("q7", *cursor, PAGE)
        (scan,) = await filled.scans(way, "scaling_decisions", "decisions", *args)
        assert scan.kind == "Index Scan"  # by target or by queue: both are near
        assert scan.rows <= PAGE + 2


@pytest.mark.parametrize("way", WAYS)
async def test_a_queue_without_an_owner_reads_a_page_of_its_own_and_one_of_all(
    filled: Filled, way: Way
) -> None:
    args = ("nobodys", None, None, PAGE)
    scans = await filled.scans(way, "scaling_decisions", "decisions_unowned", *args)
    assert {(each.kind, each.index) for each in scans} == {
        ("Index Scan", "scaling_decisions_queue")
    }
    assert sum(each.rows for each in scans) <= 2 * PAGE + 2
