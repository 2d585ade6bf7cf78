"""Worker processes that are stopped, killed and frozen: every task is recorded once."""

import asyncio
import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from signal import SIGCONT, SIGINT, SIGKILL, SIGSTOP, SIGTERM

import pytest

from tests.support.waiting import until
from tests.support.worker_process import WorkerProcess, traced, worker_process
from tidemill import NewTask
from tidemill.db import Database
from tidemill.models import Enqueued, Task
from tidemill.settings import Settings
from tidemill.states import Event, Status
from tidemill.store import Store

Ask = Callable[[str], list[tuple[object, ...]]]


@pytest.fixture
def short(settings: Settings) -> Settings:
    return replace(settings, lease_seconds=5.0, recover_seconds=0.5, drain_seconds=10.0)


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return tmp_path / "trace"


def enqueue(settings: Settings, *tasks: NewTask) -> list[Enqueued]:
    async def go() -> list[Enqueued]:
        database = Database.of(settings, application="tests")
        try:
            return await Store.of(database).tasks.enqueue(tasks)
        finally:
            await database.close()

    return asyncio.run(go())


def look(settings: Settings, stored: list[Enqueued]) -> tuple[list[Task], list[list[Event]]]:
    async def go() -> tuple[list[Task], list[list[Event]]]:
        database = Database.of(settings, application="tests")
        store = Store.of(database)
        try:
            tasks = [await store.tasks.get(each.id) for each in stored]
            histories = [await store.tasks.history(each.id) for each in stored]
        finally:
            await database.close()
        return (
            [task for task in tasks if task is not None],
            [[event.event_type for event in history] for history in histories],
        )

    return asyncio.run(go())


def work(n: int, seconds: float, kind: str = "work") -> NewTask:
    return NewTask(type=kind, payload={"n": n, "seconds": seconds})


def test_sigterm_lets_running_tasks_finish_and_exits_cleanly(
    settings: Settings, trace: Path
) -> None:
    short = replace(settings, drain_seconds=60.0)
    stored = enqueue(short, *(work(n, 1.0) for n in range(200)))
    with worker_process(short, trace, TIDEMILL_CONCURRENCY="10") as worker:
        until(lambda: len(traced(trace)) >= 10, seconds=60, what="ten tasks run")
        worker.signal(SIGTERM)
        assert worker.wait() == 0
        log = worker.log()
    tasks, _ = look(short, stored)
    done = traced(trace)
    ended = sum(event.startswith("end") for event in done)
    assert ended == sum(event.startswith("start") for event in done)  # none was cut off
    assert sum(task.status is Status.SUCCEEDED for task in tasks) == ended
    assert {task.status for task in tasks} == {Status.SUCCEEDED, Status.QUEUED}
    assert all(task.retry_count == 0 for task in tasks)
    assert "SIGTERM: draining" in log


def test_a_deploy_charges_no_retry_for_what_could_not_finish(short: Settings, trace: Path) -> None:
    stored = enqueue(short, work(1, 60.0), work(2, 60.0, "block"))
    with worker_process(replace(short, drain_seconds=0.2), trace) as worker:
        until(lambda: len(traced(trace)) == 2, seconds=60, what="both tasks run")
        worker.signal(SIGTERM)
        assert worker.wait() == 0
    tasks, histories = look(short, stored)
    assert [(task.status, task.retry_count) for task in tasks] == [(Status.QUEUED, 0)] * 2
    assert all(history[-1] is Event.TASK_RELEASED for history in histories)


def test_a_second_signal_gives_up_at_once(short: Settings, trace: Path) -> None:
    stored = enqueue(short, work(1, 60.0))
    with worker_process(replace(short, drain_seconds=3600), trace) as worker:
        until(lambda: len(traced(trace)) == 1, seconds=60, what="the task runs")
        worker.signal(SIGINT)
        worker.wait_for("draining")
        worker.signal(SIGINT)
        assert worker.wait() == 0
    tasks, _ = look(short, stored)
    assert [(task.status, task.retry_count) for task in tasks] == [(Status.QUEUED, 0)]


def test_tasks_of_a_killed_process_run_again_and_are_recorded_once(
    short: Settings, trace: Path
) -> None:
    stored = enqueue(short, *(work(n, 1.0) for n in range(20)))
    with worker_process(short, trace, TIDEMILL_CONCURRENCY="10") as doomed:
        until(lambda: len(traced(trace)) >= 10, seconds=60, what="ten tasks run")
        doomed.signal(SIGKILL)
        doomed.wait()
        with worker_process(short, trace) as survivor:
            until(
                lambda: {task.status for task in look(short, stored)[0]} == {Status.SUCCEEDED},
                seconds=60,
                what="all tasks succeed",
            )
            tasks, histories = look(short, stored)
            assert all(task.result == survivor.pid for task in tasks if task.retry_count)
    again = [task for task in tasks if task.retry_count]
    assert again
    assert {task.retry_count for task in again} == {1}
    for history in histories:
        assert history.count(Event.TASK_SUCCEEDED) == 1
    assert sum(history.count(Event.LEASE_EXPIRED) for history in histories) == len(again)


def test_a_task_that_keeps_killing_its_worker_becomes_a_dead_letter(
    short: Settings, trace: Path
) -> None:
    """A poison task: three crashes are enough, though it has retries left."""
    (stored,) = enqueue(short, NewTask(type="die", payload={"n": 1}, max_retries=10))
    for crash in (1, 2, 3):
        with worker_process(short, trace) as victim:
            assert victim.wait() == -SIGKILL
        assert traced(trace) == {"start 1": crash}

    def status() -> Status:
        return look(short, [stored])[0][0].status

    with worker_process(short, trace):
        until(lambda: status() is Status.FAILED, seconds=60, what="the task is given up")
    (task,), (history,) = look(short, [stored])
    assert (task.crash_count, task.max_retries) == (3, 10)
    assert task.last_error is not None
    assert task.last_error["type"] == "LeaseExpired"
    assert traced(trace) == {"start 1": 3}
    assert history.count(Event.LEASE_EXPIRED) == 3


@pytest.mark.timeout(300)
def test_a_process_frozen_past_its_lease_records_nothing_when_it_wakes(
    short: Settings, trace: Path
) -> None:
    (stored,) = enqueue(short, work(1, 3.0))
    with worker_process(short, trace) as frozen:
        until(lambda: len(traced(trace)) == 1, seconds=60, what="the task runs")
        frozen.signal(SIGSTOP)
        with worker_process(short, trace) as other:
            until(
                lambda: look(short, [stored])[0][0].status is Status.SUCCEEDED,
                # frozen amid a transaction it holds its locks: Postgres ends it after a minute
                seconds=120,
                what="the other worker runs the task",
            )
            frozen.signal(SIGCONT)
            frozen.wait_for("the lease was lost")
            (task,), (history,) = look(short, [stored])
            assert task.result == other.pid
            assert task.retry_count == 1
            assert history.count(Event.TASK_SUCCEEDED) == 1
        frozen.signal(SIGTERM)
        assert frozen.wait() == 0


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - our own probe
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_probes_tell_life_readiness_and_metrics(short: Settings, trace: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    enqueue(short, work(1, 0.0), NewTask(type="wait_for_go", payload={"n": 2}))
    with worker_process(
        replace(short, drain_seconds=3600), trace, TIDEMILL_PROBE_PORT=str(port)
    ) as worker:
        url = f"http://127.0.0.1:{port}"
        assert get(f"{url}/healthz") == (200, "ok\n")
        assert get(f"{url}/readyz") == (200, "ok\n")
        sample = 'tidemill_worker_attempts_total{outcome="succeeded",type="work"} 1.0'
        until(lambda: sample in get(f"{url}/metrics")[1], seconds=60, what=sample)
        metrics = get(f"{url}/metrics")[1]
        assert 'tidemill_worker_run_seconds_count{type="work"} 1.0' in metrics
        assert "tidemill_worker_slots 20.0" in metrics
        until(lambda: traced(trace)["start 2"] == 1, seconds=60, what="a long task runs")
        worker.signal(SIGTERM)
        until(lambda: get(f"{url}/readyz")[0] == 503, seconds=60, what="unready while draining")
        assert get(f"{url}/healthz")[0] == 200
        trace.with_suffix(".go").touch()
        assert worker.wait() == 0


@pytest.mark.parametrize(
    ("environ", "code", "message"),
    [
        ({"TIDEMILL_DATABASE_URL": ""}, 2, "TIDEMILL_DATABASE_URL must be set"),
        ({"TIDEMILL_PREFETCH": "many"}, 2, "TIDEMILL_PREFETCH must be `auto` or a number"),
        ({"TIDEMILL_QUEUES": "a b"}, 2, "TIDEMILL_QUEUES: queue names must match"),
        (
            {
                "TIDEMILL_DATABASE_URL": "postgresql://x@127.0.0.1:1/x",
                "TIDEMILL_DATABASE_WAIT_SECONDS": "0",
            },
            3,
            "the database cannot be used",
        ),
    ],
)
def test_a_worker_that_cannot_start_says_why_in_one_line(
    environ: dict[str, str], code: int, message: str, short: Settings, trace: Path
) -> None:
    worker = WorkerProcess(short, trace, **environ)
    try:
        assert worker.wait() == code
        (line,) = worker.log().splitlines()
        assert message in line
    finally:
        worker.close()


def test_a_taken_probe_port_is_one_clear_line(short: Settings, trace: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        worker = WorkerProcess(short, trace, TIDEMILL_PROBE_PORT=str(port))
        try:
            assert worker.wait() == 2
            assert f"TIDEMILL_PROBE_PORT must be free: 127.0.0.1:{port}" in worker.log()
        finally:
            worker.close()


def test_threads_that_a_handler_left_behind_do_not_keep_the_process(
    short: Settings, trace: Path
) -> None:
    enqueue(short, work(1, 600.0, "leave_a_thread"))
    with worker_process(replace(short, drain_seconds=0), trace) as worker:
        until(lambda: len(traced(trace)) == 1, seconds=60, what="the task runs")
        worker.signal(SIGTERM)
        assert worker.wait() == 0
        assert "ending with threads that do not" in worker.log()
