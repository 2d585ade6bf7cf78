"""Plans of the hot statements on full tables: by index, few rows, whatever planned them when.

The tables hold 1,000,000 ready and 1,000,000 scheduled tasks and 100,000 leases: they and the three
ways to come by a plan are in tests/support/full, the calls in tests/support/plan_cases.
"""

from collections.abc import Iterator, Mapping

import pytest

from tests.support import plans
from tests.support.full import BATCH, DEAD, EXPIRED, LEASED, QUEUES, WAYS, WORKERS, Full, Way
from tests.support.plan_cases import CASES, NOT_TESTED
from tests.support.postgres import Server
from tidemill import sql

_LARGE = (
    "ready",
    "leases",
    "scheduled",
    "idempotency_keys",
    "dead_letters",
    "throughput_deltas",
    "tasks_",
    "attempts_",
)
_BY_INDEX = ("Index Scan", "Index Only Scan", "Bitmap Heap Scan", "Tid Scan")

MOST: Mapping[str, Mapping[str, int]] = {
    # picked and locked, then found again by place; a body each
    "claim near the floor": {"ready": 2 * BATCH + 10, "tasks": BATCH},
    "claim whole queues": {"ready": 2 * BATCH + 10, "tasks": BATCH},
    "claim between priorities": {"ready": 2 * BATCH + 10, "tasks": BATCH},
    # the lowest priority, the head of its lanes, the task itself; deletion by place; a body
    "claim of starved tasks": {"ready": 6 * QUEUES, "tasks": QUEUES},
    "claim of a refused worker": {},
    "enqueue": {},
    "enqueue with keys": {},
    "extend": {"leases": 2 * BATCH},
    "progress": {"leases": 2 * BATCH},
    "finish with success": {"leases": 2 * BATCH},
    "finish for good": {"leases": 2 * BATCH, "tasks": BATCH, "idempotency_keys": 2 * BATCH},
    "finish and give back": {"leases": 2 * BATCH},
    # where nothing is pinned, all that has expired of a worker may be sorted
    "recover": {"leases": 2 * BATCH + EXPIRED, "tasks": BATCH, "idempotency_keys": 2 * BATCH},
    "promote": {"scheduled": 2 * BATCH},
    "task that is ready": {"tasks": 1, "ready": 1},
    "task that is scheduled": {"tasks": 1, "scheduled": 1},
    "task that runs": {"tasks": 1, "leases": 2},  # its status, then its progress
    "task that is done": {"tasks": 1, "attempts": 1},
    "attempts": {"attempts": 1},
    "tokens_recorded": {},
    "worker_leases": {"leases": LEASED // WORKERS},
    "worker_cancels": {"leases": LEASED // WORKERS},
    "limits": {"ready": QUEUES},
    "park": {"leases": 2 * BATCH},
    "unpark": {},
    # looked for in each place, taken in one; the body, and its key
    "cancel what waits": {
        "ready": 2 * BATCH,
        "scheduled": 2 * BATCH,
        "tasks": 2 * BATCH,
        "idempotency_keys": 2 * BATCH,
    },
    "cancel what runs": {"leases": 2 * BATCH},
    "replay": {
        "scheduled": 2 * BATCH,
        "dead_letters": 2 * BATCH,
        "tasks": BATCH,
        "idempotency_keys": 2 * BATCH,
    },
    "delete": {
        "ready": 2 * BATCH,
        "dead_letters": 2 * BATCH,
        "tasks": 4 * BATCH,
        "attempts": 4 * BATCH,
        "idempotency_keys": 2 * BATCH,
    },
    "reprioritise": {"ready": 2 * BATCH, "scheduled": 2 * BATCH, "tasks": 2 * BATCH},
    "move": {
        "ready": 2 * BATCH,
        "scheduled": 2 * BATCH,
        "tasks": 4 * BATCH,
        "idempotency_keys": 2 * BATCH,
    },
    "statuses": {"ready": BATCH, "leases": BATCH, "tasks": 3 * BATCH, "attempts": 2 * BATCH},
    "bodies_lock": {"tasks": BATCH},
    "bodies_share": {"tasks": BATCH},
    # so many as it is told to look at, in each place
    "tasks_select": {"ready": 10 * BATCH, "scheduled": 10 * BATCH, "tasks": 3 * BATCH},
    "tasks_select of queues that may be touched": {
        "ready": 10 * BATCH,
        "scheduled": 10 * BATCH,
        "tasks": 3 * BATCH,
    },
    # planned while there were none, it sorts those that there are: for a page of a list
    "dead_letters": {"dead_letters": DEAD, "tasks": BATCH, "attempts": 2 * BATCH},
    "dead letters of a queue": {"dead_letters": DEAD, "tasks": BATCH, "attempts": 2 * BATCH},
    "dead letters that may be seen": {
        "dead_letters": DEAD,
        "tasks": BATCH,
        "attempts": 2 * BATCH,
    },
    "unknown_returns": {},
    # for any number of workers the planner prefers to walk all leases in order: a worker died, rare
    "worker_expire": {"leases": 2 * LEASED},
    "keys_expire": {},
    "fold": {"throughput_deltas": 2 * BATCH},
}
"""Most rows that a case may look at, by table; at other large tables it looks not at all."""

MOST_BUFFERS = 60
"""A row costs at most so many pages: some levels of each index, and the heap."""


@pytest.fixture(scope="module")
def full(server: Server) -> Iterator[Full]:
    name = server.migrated()
    database = Full(server.url_of(name), CASES)
    yield database
    database.close()
    server.drop(name)


def read(found: list[plans.Scan]) -> dict[str, float]:
    """Return how many rows were looked at, by table; partitions count as one."""
    rows: dict[str, float] = {}
    for scan in found:
        if scan.table.startswith(_LARGE) and scan.rows:
            table = scan.table.partition("_2")[0]
            rows[table] = rows.get(table, 0) + scan.rows
    return rows


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", MOST)
def test_only_rows_in_question_are_looked_at_and_by_index(full: Full, way: Way, case: str) -> None:
    found = plans.scans(full.plan(way, case))
    assert not [
        scan
        for scan in found
        if scan.table.startswith(_LARGE) and scan.kind not in _BY_INDEX and scan.buffers
    ]
    most = MOST[case]
    assert not {table: n for table, n in read(found).items() if n > most.get(table, 0)}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", MOST)
def test_few_pages_are_touched(full: Full, way: Way, case: str) -> None:
    rows = max(BATCH, *MOST[case].values(), 0)
    assert plans.touched(full.plan(way, case)) <= MOST_BUFFERS * rows


@pytest.mark.parametrize("way", WAYS)
def test_claim_of_whole_queues_stops_at_its_limit(full: Full, way: Way) -> None:
    found = plans.scans(full.plan(way, "claim whole queues"))
    locked = [scan for scan in found if scan.index == "ready_order" and scan.loops]
    assert sum(scan.loops for scan in locked) == 1, "the first queue had enough"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", [name for name in CASES if name.startswith("claim")])
def test_a_million_delayed_tasks_cost_a_claim_nothing(full: Full, way: Way, case: str) -> None:
    assert not [scan for scan in plans.scans(full.plan(way, case)) if scan.table == "scheduled"]


@pytest.mark.parametrize("way", WAYS)
def test_bodies_are_read_in_their_own_partition_only(full: Full, way: Way) -> None:
    days = full.fetch("SELECT DISTINCT tableoid FROM tidemill.tasks")
    assert len(days) == 4
    for case, looks in (("task that runs", 1), ("claim near the floor", BATCH)):
        found = plans.scans(full.plan(way, case))
        bodies = [scan for scan in found if scan.table.startswith("tasks_") and scan.loops]
        assert sum(scan.loops for scan in bodies) == looks, "one look a task, not one a partition"


@pytest.mark.parametrize("way", WAYS)
def test_recover_asks_each_worker_for_a_range(full: Full, way: Way) -> None:
    found = plans.scans(full.plan(way, "recover"))
    looks = [scan for scan in found if scan.table == "leases" and scan.index != "leases_pkey"]
    assert 0 < sum(scan.loops for scan in looks) <= WORKERS


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", ["snapshots", "stats", "stats of queues that may be seen"])
def test_depth_is_counted_up_to_a_cap(full: Full, way: Way, case: str) -> None:
    rows = read(plans.scans(full.plan(way, case)))
    assert rows["ready"] <= QUEUES * 1000
    assert rows.get("scheduled", 0) <= 1000
    assert "tasks" not in rows
    assert "attempts" not in rows


def test_each_statement_is_looked_at_or_says_why_not() -> None:
    looked_at = {case.statement for case in CASES.values()}
    assert looked_at | set(NOT_TESTED) == set(sql.queries())
    assert not looked_at & set(NOT_TESTED)
