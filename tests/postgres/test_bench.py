"""Each case of the benchmarks does what it counts, whatever becomes of the statements."""

import json
from pathlib import Path

import pytest

from bench import drain, enqueue, history, pinned, steady, subjects
from bench.case import BenchError, Case
from bench.drain import info
from bench.explaining import Explaining
from bench.scripts import QUEUE
from bench.server import Bed
from bench.subject import Scale
from bench.target import Target
from tests.support import postgres
from tidemill.db import Database
from tidemill.settings import Settings
from tidemill.store import Store
from tidemill.store.claimer import Claimer
from tidemill_cli.local import installs

pytestmark = pytest.mark.timeout(600)

CASES: list[Case] = [
    drain.LimitDrain(100, 2),
    drain.StoreDrain(500),
    drain.WorkerDrain(1),
    *enqueue.limits([100], [2]),
    *enqueue.cases(),
]
TINY = Scale(
    tasks=2000,
    rounds=1,
    batches=(200,),
    connections=(1,),
    finalists=1,
    many=2000,
    pinned_seconds=1,
    slice_seconds=1,
    samples=2,
    scalings=2,
    bursts=1,
    steady_seconds=1,
    kills=1,
    scale_downs=2,
    task_queues=2,
)


@pytest.fixture(scope="module")
def pgbench() -> str:
    return str(next(path for each in installs.installs() if (path := _in(each.bin)).exists()))


def _in(folder: Path) -> Path:
    return folder / "pgbench"


@pytest.fixture
def target(settings: Settings, db: Database, pgbench: str) -> Target:
    return Target(settings.database_url, pgbench, settings, db, False, None)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_case_does_all_of_its_tasks(case: Case, target: Target) -> None:
    sample = await case.run(target, 2000)
    assert 0 < sample.tasks <= 2048
    assert sample.seconds > 0
    assert sample.wal_bytes > 100 * sample.tasks
    assert sample.statements >= 2


async def test_a_drain_that_left_something_gives_no_figure(target: Target) -> None:
    await target.fill(10)
    with pytest.raises(BenchError, match="10 tasks must end once; 0 did"):
        await drain.check_drained(target, 10)


@pytest.mark.parametrize("name", subjects.DEFAULT)
async def test_a_subject_answers_and_leaves_no_database(
    name: str, server: postgres.Server, pgbench: str, db: Database
) -> None:
    said: list[str] = []
    findings = await subjects.ALL[name].run(Bed(server.url, pgbench, None), TINY, said.append)
    for finding in findings:
        assert {len(row) for row in finding.rows} == {1 + len(finding.columns)}
        assert all(0 <= bar.value < 1000 or bar.at_most for bar in finding.bars)
        json.dumps(finding.to_json())
    assert said
    left = "SELECT count(*) FROM pg_database WHERE datname LIKE 'tidemill\\_bench\\_%'"
    assert await db.fetchval(left) == 0


async def test_under_a_pin_nothing_is_removed_and_afterwards_it_is(target: Target) -> None:
    await target.fill(500)
    async with pinned.pin(target):
        await target.ask("DELETE FROM tidemill.ready")
        await target.ask("VACUUM tidemill.ready")
        assert await target.number("SELECT pg_relation_size('tidemill.ready')") > 0
    await target.ask("VACUUM tidemill.ready")
    assert await target.number("SELECT pg_relation_size('tidemill.ready')") == 0


async def test_what_has_completed_stays_when_a_target_is_emptied(target: Target) -> None:
    await history.complete(target, 300)
    await target.fill(20)
    assert await target.number("SELECT count(*) FROM tidemill.tasks") == 320
    assert await target.number("SELECT count(*) FROM tidemill.attempts") == 300
    assert await target.ended() == (0, 0)


async def test_a_claim_is_explained_undone_and_then_done(target: Target, db: Database) -> None:
    await target.fill(30)
    explaining = Explaining(db)
    store = Store.of(explaining)
    worker = await store.workers.register(info(0))
    claimed = await Claimer(store, worker, queues=[QUEUE], lease_seconds=30).claim(10)
    assert len(claimed) == 10
    assert await target.number("SELECT count(*) FROM tidemill.leases") == 10
    (cost,) = explaining.costs
    assert cost.milliseconds > 0
    assert cost.buffers > 10
    assert cost.wal_bytes > 0


async def test_a_steady_load_leaves_the_queue_as_deep_as_it_was(target: Target) -> None:
    await target.empty()
    load = steady.SqlLoad(target, batch=100, connections=1)
    await load.begin()
    sample = await load.slice(1)
    assert sample.tasks % 100 == 0
    assert sample.tasks > 0
    assert await target.number("SELECT count(*) FROM tidemill.ready") == steady.DEPTH
    assert await target.ended() == (sample.tasks, sample.tasks)
