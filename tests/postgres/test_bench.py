"""Each case of the benchmarks does what it counts, whatever becomes of the statements."""

import pytest

from bench import drain, enqueue
from bench.case import BenchError, Case
from bench.target import Target
from tidemill.db import Database
from tidemill.settings import Settings
from tidemill_cli.local import installs

CASES: list[Case] = [
    drain.LimitDrain(100, 2),
    drain.StoreDrain(500),
    drain.WorkerDrain(1),
    *enqueue.limits([100], [2]),
    *enqueue.cases(),
]


@pytest.fixture
def target(settings: Settings, db: Database) -> Target:
    pgbench = next(path for each in installs.installs() if (path := each.bin / "pgbench").exists())
    return Target(settings.database_url, str(pgbench), settings, db, False, None)


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
