"""Plans of the hot statements on full tables: by index, few rows, whatever planned them when.

Three ways to come by a plan: made for these values (as through a pooler, where nothing is pinned
or cached); cached for any values; cached while the tables were empty, which is how a long-lived
connection meets a queue that filled up.
"""

# ruff: noqa: E501 - SQL

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import asyncpg
import pytest

from tests.support import plans, postgres
from tests.support.postgres import Server
from tidemill.address import connect_options

Way = Literal["values", "cached", "cached while empty"]
WAYS: tuple[Way, ...] = ("values", "cached", "cached while empty")

READY, LEASED, LATER, DONE, WORKERS = 200_000, 20_000, 50_000, 50_000, 20

_FILL = f"""
INSERT INTO tidemill.queues (name) SELECT 'q' || n FROM generate_series(1, 5) AS n;
INSERT INTO tidemill.workers (name, slots, queues, version, hostname, pid)
SELECT 'w', 1, '{{*}}', '0', 'h', n FROM generate_series(1, {WORKERS}) AS n;
CREATE TABLE public.made AS
SELECT n, overlay(tidemill.uuid_floor(now() + (n % 4 - 1) * interval '1 day')::text
                  PLACING lpad(to_hex(n), 12, '0') FROM 25)::uuid AS id
  FROM generate_series(1, {READY + LEASED + LATER + DONE}) AS n;
INSERT INTO tidemill.tasks (id, queue_id, type, priority, max_retries, timeout_seconds, created_at, payload, idempotency_key)
SELECT id, 1 + n % 5, 't', n % 3, 3, 300, now() + (n % 4 - 1) * interval '1 day', '{{}}', 'k' || n FROM public.made;
INSERT INTO tidemill.idempotency_keys SELECT 1 + n % 5, 'k' || n, id, '', now() + interval '1 day' FROM public.made;
INSERT INTO tidemill.ready (task_id, queue_id, priority, lane, ready_at)
SELECT id, 1 + n % 5, n % 3, 1, now() FROM public.made WHERE n <= {READY} ORDER BY n;
INSERT INTO tidemill.leases (task_id, lease_token, worker_id, locked_until, claimed_at, seq, queue_id, priority, retry_count, crash_count)
SELECT id, n, 1 + n % {WORKERS}, now() + CASE WHEN n % 100 = 0 THEN interval '-1 s' ELSE interval '1 h' END, now(), n, 1 + n % 5, n % 3, 0, 0
  FROM public.made WHERE n > {READY} AND n <= {READY + LEASED};
INSERT INTO tidemill.scheduled (run_at, task_id, queue_id, priority)
SELECT now() + CASE WHEN n % 100 = 0 THEN interval '-1 s' ELSE interval '1 h' END, id, 1 + n % 5, n % 3
  FROM public.made WHERE n > {READY + LEASED} AND n <= {READY + LEASED + LATER};
INSERT INTO tidemill.attempts (task_id, token, queue_id, worker_id, attempt, finished_at, outcome, retry_count)
SELECT id, n, 1 + n % 5, 1, 1, now() + (n % 4 - 1) * interval '1 day', 'succeeded', 0
  FROM public.made WHERE n > {READY + LEASED + LATER};
"""  # noqa: S608 - numbers of this file
_STATEMENTS = (
    "claim",
    "extend",
    "finish",
    "recover",
    "promote",
    "task",
    "attempts",
    "worker_release",
    "tokens_recorded",
)


_BY_INDEX = ("Index Scan", "Index Only Scan", "Bitmap Heap Scan", "Tid Scan")


class Bench:
    """A full database, and a connection for each way to come by a plan."""

    def __init__(self, url: str) -> None:
        self.loop = asyncio.new_event_loop()
        self.url = url
        self.connections: dict[Way, Any] = {}
        self.loop.run_until_complete(self._open())

    async def _open(self) -> None:
        for way in WAYS:
            pooler = "transaction" if way == "values" else "none"
            settings = postgres.settings_of(self.url, database_pooler=pooler)
            options = connect_options(settings, application="tests") | {"command_timeout": 100}
            self.connections[way] = await asyncpg.connect(**options)
        await self._prepare("cached while empty")
        await self.connections["values"].execute(_FILL)
        await self.connections["values"].execute("VACUUM ANALYZE")
        await self._prepare("cached")

    async def _prepare(self, way: Way) -> None:
        for name in _STATEMENTS:
            await plans.prepare(self.connections[way], name, *arguments(name, [], []))

    def close(self) -> None:
        for connection in self.connections.values():
            self.loop.run_until_complete(connection.close())
        self.loop.close()

    def fetch(self, text: str) -> list[Any]:
        return list(self.loop.run_until_complete(self.connections["values"].fetch(text)))

    def scans(self, way: Way, name: str, *args: Any) -> list[plans.Scan]:
        run = plans.explained if way == "values" else plans.executed
        return plans.scans(self.loop.run_until_complete(run(self.connections[way], name, *args)))


def arguments(name: str, ids: list[Any], tokens: list[int]) -> list[Any]:
    count = len(ids)
    now = datetime.now(UTC)
    every: dict[str, list[Any]] = {
        "claim": [1, 1, 100, 30.0, [1, 1], [2, 2], [0, 1], [0, 1000], []],
        "extend": [ids, tokens, 30.0],
        "finish": [ids, tokens, ["failed"] * count, [1.0] * count, None, None, None],
        "recover": [100, 3],
        "promote": [100],
        "task": [ids[0] if ids else "01a20000-0000-7000-8000-000000000000"],
        "attempts": [
            ids[0] if ids else "01a20000-0000-7000-8000-000000000000",
            now - timedelta(hours=1),
        ],
        "worker_release": [1, tokens],
        "tokens_recorded": [ids, tokens, now - timedelta(hours=1)],
    }
    return every[name]


@pytest.fixture(scope="module")
def bench(server: Server) -> Iterator[Bench]:
    name = server.migrated()
    bench = Bench(server.url_of(name))
    yield bench
    bench.close()
    server.drop(name)


def leased(bench: Bench, count: int) -> tuple[list[Any], list[int]]:
    rows = bench.fetch(
        "SELECT task_id, lease_token FROM tidemill.leases WHERE worker_id = 3 "
        "AND locked_until > now() ORDER BY task_id"
    )[:count]
    return [row["task_id"] for row in rows], [row["lease_token"] for row in rows]


def check(way: Way, scans: list[plans.Scan], most: dict[str, int]) -> None:
    """Every scan of a large table is by index or place, and looks at `most` rows; else at none.

    Where nothing is pinned, a table of some thousand rows may be read whole for 100 of them.
    """
    large = ("ready", "leases", "scheduled", "idempotency_keys", "tasks_", "attempts_")
    read: dict[str, float] = {}
    for scan in scans:
        if scan.table.startswith(large) and scan.kind in _BY_INDEX:
            table = scan.table.partition("_2")[0]
            read[table] = read.get(table, 0) + scan.rows
        elif scan.table.startswith(large):
            assert scan.rows <= (LEASED if way == "values" else 0), scan
    for table, rows in read.items():
        assert rows <= most.get(table, 0), (table, rows)


@pytest.mark.parametrize("way", WAYS)
def test_claim_reads_what_it_takes(bench: Bench, way: Way) -> None:
    found = bench.scans(way, "claim", *arguments("claim", [], []))
    # picked and locked, then found again by place; a body each
    check(way, found, {"ready": 210, "tasks": 100})
    (worker,) = [scan for scan in found if scan.table == "workers"]
    assert worker.rows == 1


@pytest.mark.parametrize("way", WAYS)
def test_claim_of_whole_queues_stops_at_its_limit(bench: Bench, way: Way) -> None:
    found = bench.scans(way, "claim", 1, 1, 100, 30.0, [], [], [], [], [1, 2, 3, 4, 5])
    check(way, found, {"ready": 210, "tasks": 100})
    locked = [scan for scan in found if scan.index == "ready_order" and scan.loops]
    assert sum(scan.loops for scan in locked) == 1, "the first queue had enough"


@pytest.mark.parametrize("way", WAYS)
def test_a_refused_worker_reads_nothing(bench: Bench, way: Way) -> None:
    found = bench.scans(way, "claim", 1, 2, 100, 30.0, [], [], [], [], [1, 2])
    assert sum(scan.rows for scan in found if scan.table.startswith(("ready", "tasks_"))) == 0


@pytest.mark.parametrize("way", WAYS)
def test_bodies_are_read_in_their_own_partition_only(bench: Bench, way: Way) -> None:
    ids, _ = leased(bench, 100)
    days = {row["day"] for row in bench.fetch(
        "SELECT DISTINCT right(tableoid::regclass::text, 8) AS day FROM tidemill.tasks"
    )}  # fmt: skip
    assert len(days) == 4
    found = bench.scans(way, "task", ids[0])
    assert (
        len({scan.table for scan in found if scan.table.startswith("tasks_") and scan.loops}) == 1
    )
    check(way, found, {"tasks": 1, "leases": 1, "ready": 1, "scheduled": 1})
    claimed = bench.scans(way, "claim", *arguments("claim", [], []))
    reached = [scan for scan in claimed if scan.table.startswith("tasks_") and scan.loops]
    assert sum(scan.loops for scan in reached) == 100, "one look a task, not one a partition"


@pytest.mark.parametrize("way", WAYS)
def test_extend_looks_at_its_leases_only(bench: Bench, way: Way) -> None:
    found = bench.scans(way, "extend", *arguments("extend", *leased(bench, 100)))
    check(way, found, {"leases": 200})


@pytest.mark.parametrize("way", WAYS)
def test_finish_looks_at_its_leases_bodies_and_keys_only(bench: Bench, way: Way) -> None:
    found = bench.scans(way, "finish", *arguments("finish", *leased(bench, 100)))
    check(way, found, {"leases": 200, "tasks": 100, "idempotency_keys": 200})


@pytest.mark.parametrize("way", WAYS)
def test_recover_looks_at_expired_leases_only(bench: Bench, way: Way) -> None:
    found = bench.scans(way, "recover", *arguments("recover", [], []))
    check(way, found, {"leases": 300, "tasks": 100, "idempotency_keys": 200})
    ranges = [scan for scan in found if scan.index == "leases_worker" and scan.loops]
    assert sum(scan.loops for scan in ranges) <= WORKERS


@pytest.mark.parametrize("way", WAYS)
def test_promote_looks_at_due_tasks_only(bench: Bench, way: Way) -> None:
    check(way, bench.scans(way, "promote", *arguments("promote", [], [])), {"scheduled": 200})


@pytest.mark.parametrize("way", WAYS)
def test_the_rest_of_the_hot_reads(bench: Bench, way: Way) -> None:
    ids, tokens = leased(bench, 100)
    check(way, bench.scans(way, "attempts", *arguments("attempts", ids, tokens)), {})
    check(way, bench.scans(way, "tokens_recorded", *arguments("tokens_recorded", ids, tokens)), {})
    held = LEASED // WORKERS
    released = bench.scans(way, "worker_release", *arguments("worker_release", ids, tokens))
    check(way, released, {"leases": 2 * held})
