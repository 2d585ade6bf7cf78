"""Worker processes that start themselves anew: same process, fresh memory, nothing lost."""

from dataclasses import replace
from pathlib import Path
from signal import SIGTERM

import pytest

from tests.support import ledger, postgres
from tests.support.waiting import until
from tests.support.worker_process import WorkerProcess, traced, worker_process
from tidemill import NewTask
from tidemill.db import Database
from tidemill.schema import migrate
from tidemill.settings import Settings
from tidemill.states import Status
from tidemill.store import Store
from tidemill_cli.local.postgres import EmbeddedPostgres


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return tmp_path / "trace"


def work(n: int, seconds: float) -> NewTask:
    return NewTask(type="work", payload={"n": n, "seconds": seconds})


def pids(trace: Path) -> set[int]:
    return {int(line.split()[-1]) for line in trace.read_text().splitlines()}


async def result(store: Store, task: NewTask) -> tuple[Status, int, object]:
    rows = await store.db.fetch("SELECT id FROM tidemill.tasks WHERE name = $1", task.name)
    found = await store.tasks.get(rows[0]["id"])
    assert found is not None
    return found.status, found.retry_count, found.result


@pytest.mark.timeout(300)
async def test_after_so_many_tasks_the_process_becomes_a_new_one_with_the_same_id(
    settings: Settings, store: Store, trace: Path
) -> None:
    await store.tasks.enqueue([work(n, 0.1) for n in range(60)])
    arguments = ("--max-tasks", "20", "--burst", "--concurrency", "5", "--prefetch", "0")
    with worker_process(settings, trace, *arguments) as worker:
        assert worker.wait(100) == 0
        log = worker.log()
    assert 2 <= log.count("starting anew: ") <= 5, log
    assert log.count("working on") == log.count("starting anew: ") + 1
    assert "tasks done, limit" in log
    counts = await ledger.balance(store)
    assert counts["succeeded"] == 60
    assert pids(trace) == {worker.pid}
    assert await store.db.fetchval("SELECT sum(retry_count) FROM tidemill.attempts") == 0


@pytest.mark.timeout(300)
async def test_a_process_that_holds_too_much_memory_becomes_a_new_one(
    settings: Settings, store: Store, trace: Path
) -> None:
    leaks = [NewTask(type="leak", payload={"n": n, "megabytes": 60}) for n in range(12)]
    await store.tasks.enqueue(leaks)
    arguments = ("--max-memory-mb", "400", "--burst", "--concurrency", "1", "--prefetch", "0")
    with worker_process(settings, trace, *arguments) as worker:
        assert worker.wait(100) == 0
        log = worker.log()
    assert log.count("starting anew: ") >= 1, log
    assert "MB of memory, limit" in log
    assert (await ledger.balance(store))["succeeded"] == 12
    assert traced(trace) == {f"start {n}": 1 for n in range(12)}


async def test_a_limit_below_what_the_app_itself_takes_is_refused(
    settings: Settings, trace: Path
) -> None:
    worker = WorkerProcess(settings, trace, "--max-memory-mb", "10")
    try:
        assert worker.wait(60) == 2
        assert "TIDEMILL_MAX_MEMORY_MB must be more than the worker takes" in worker.log()
    finally:
        worker.close()


@pytest.mark.timeout(300)
async def test_a_task_that_outlasts_the_drain_time_is_waited_for(
    settings: Settings, store: Store, trace: Path
) -> None:
    """There is no hurry: a recycling is no deploy."""
    long = NewTask(type="wait_for_go", payload={"n": 0}, name="long")
    await store.tasks.enqueue([long])
    no_drain = replace(settings, drain_seconds=0.0)
    with worker_process(no_drain, trace, "--max-tasks", "10", "--burst") as worker:
        until(lambda: traced(trace)["start 0"], seconds=60, what="the long task runs")
        await store.tasks.enqueue([work(n, 0.0) for n in range(1, 11)])
        worker.wait_for("starting anew: ")
        trace.with_suffix(".go").touch()
        assert worker.wait(100) == 0
        assert worker.log().count("starting anew: ") == 1
    assert await result(store, long) == (Status.SUCCEEDED, 0, None)
    assert traced(trace)["start 0"] == 1


async def test_a_signal_while_it_waits_for_the_last_tasks_ends_it_as_ever(
    settings: Settings, store: Store, trace: Path
) -> None:
    long = replace(work(0, 3600.0), name="long")
    await store.tasks.enqueue([long])
    no_drain = replace(settings, drain_seconds=0.0)
    with worker_process(no_drain, trace, "--max-tasks", "10") as worker:
        until(lambda: traced(trace)["start 0"], seconds=60, what="the long task runs")
        await store.tasks.enqueue([work(n, 0.0) for n in range(1, 11)])
        worker.wait_for("starting anew: ")
        worker.signal(SIGTERM)
        assert worker.wait(60) == 0
        assert worker.log().count("working on") == 1
    assert await result(store, long) == (Status.QUEUED, 0, None)


@pytest.mark.timeout(300)
async def test_while_the_database_is_away_it_keeps_what_it_has_to_record(
    private_server: EmbeddedPostgres, trace: Path
) -> None:
    """Starting anew then would lose the outcomes, and charge the tasks a crash."""
    settings = postgres.settings_of(private_server.url("postgres"))
    database = Database.of(settings, application="tests")
    await migrate(database)
    waiting = [NewTask(type="wait_for_go", payload={"n": n}) for n in range(5)]
    await Store.of(database).tasks.enqueue(waiting)
    await database.close()
    often = replace(settings, lease_seconds=3600.0)
    arguments = ("--max-tasks", "5", "--concurrency", "5", "--heartbeat-seconds", "0.2")
    with worker_process(often, trace, *arguments) as worker:
        until(lambda: len(traced(trace)) == 5, seconds=60, what="all tasks run")
        private_server.crash()
        worker.wait_for("heartbeats fail")
        trace.with_suffix(".go").touch()
        worker.wait_for("outcomes wait for the database")
        assert "starting anew" not in worker.log()
        private_server.start()
        worker.wait_for("starting anew: ")
        until(lambda: worker.log().count("working on") == 2, seconds=60, what="the fresh process")
        worker.signal(SIGTERM)
        assert worker.wait(60) == 0
    database = Database.of(settings, application="tests")
    counts = await ledger.balance(Store.of(database))
    await database.close()
    assert counts["succeeded"] == 5
    assert all(times == 1 for times in traced(trace).values())
