"""`tidemill worker --burst`: a process for Jobs and cron."""

from pathlib import Path
from signal import SIGTERM

import pytest

from tests.support import ledger
from tests.support.waiting import until
from tests.support.worker_process import traced, worker_process
from tidemill import NewTask
from tidemill.settings import Settings
from tidemill.states import Status
from tidemill.store import Store


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return tmp_path / "trace"


def work(n: int, seconds: float = 0.0) -> NewTask:
    return NewTask(type="work", payload={"n": n, "seconds": seconds})


async def test_a_burst_ends_well_once_nothing_is_left_whatever_became_of_the_tasks(
    settings: Settings, store: Store, trace: Path
) -> None:
    wrong = NewTask(type="work", payload={"n": "no number"})
    await store.tasks.enqueue([wrong, *(work(n) for n in range(200))])
    with worker_process(settings, trace, "--burst") as worker:
        assert worker.wait(60) == 0
        log = worker.log()
    assert "nothing is left to do" in log
    counts = await ledger.balance(store)
    assert (counts["succeeded"], counts["failed"]) == (200, 1)


async def test_a_burst_of_nothing_ends_at_once(settings: Settings, trace: Path) -> None:
    with worker_process(settings, trace, "--burst") as worker:
        assert worker.wait(60) == 0


async def test_a_burst_that_a_signal_cuts_short_is_no_success(
    settings: Settings, store: Store, trace: Path
) -> None:
    """A Job whose pod is evicted must run again."""
    (stored,) = await store.tasks.enqueue([work(1, seconds=3600)])
    with worker_process(settings, trace, "--burst", "--drain-seconds", "0") as worker:
        until(lambda: traced(trace)["start 1"], seconds=60, what="the task runs")
        worker.signal(SIGTERM)
        assert worker.wait(60) == 130
    task = await store.tasks.get(stored.id)
    assert task is not None
    assert (task.status, task.retry_count) == (Status.QUEUED, 0)
