"""Workers whose handlers run in processes of their own: nothing outlives a worker."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from signal import SIGKILL, SIGTERM

import pytest

from tests.support.handler_processes import lives, pids
from tests.support.waiting import until
from tests.support.worker import finished
from tests.support.worker_process import worker_process
from tidemill import NewTask
from tidemill.db import Database
from tidemill.models import Task
from tidemill.settings import Settings
from tidemill.states import Status
from tidemill.store import Store


@pytest.fixture
def trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRACE", str(tmp_path / "trace"))
    return tmp_path / "trace"


@pytest.fixture
def isolated(settings: Settings) -> Settings:
    return replace(settings, app="tests.support.process_app:app", drain_seconds=60.0)


def enqueue(settings: Settings, task: NewTask) -> None:
    async def go() -> None:
        database = Database.of(settings, application="tests")
        await Store.of(database).tasks.enqueue([task])
        await database.close()

    asyncio.run(go())


def run(settings: Settings, task: NewTask) -> Task:
    """Enqueue a task and return it once it has reached a final state."""

    async def go() -> Task:
        database = Database.of(settings, application="tests")
        store = Store.of(database)
        (stored,) = await store.tasks.enqueue([task])
        try:
            return await finished(store, stored.id, seconds=60)
        finally:
            await database.close()

    return asyncio.run(go())


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_killed_worker_leaves_no_process_of_its_handlers_behind(
    isolated: Settings, trace: Path
) -> None:
    with worker_process(isolated, trace) as worker:
        enqueue(isolated, NewTask(type="hang"))
        # the handler, a child of it, and one that has left for a session of its own
        until(lambda: len(pids()) == 3, seconds=60, what="three processes")
        guard = parent_of(pids()[-1])
        worker.signal(SIGKILL)
        worker.wait()
        until(lambda: not any(map(lives, [*pids(), guard])), seconds=60, what="no process is left")


def test_a_killed_guard_takes_its_handler_along_and_the_worker_lives_on(
    isolated: Settings, trace: Path
) -> None:
    with worker_process(isolated, trace) as worker:
        enqueue(isolated, NewTask(type="sleep", payload={"seconds": 99}, max_retries=0))
        until(lambda: bool(pids()), seconds=60, what="a handler runs")
        os.kill(parent_of(pids()[0]), SIGKILL)
        worker.wait_for("a process for handlers has died: ended, and its guard with it")
        until(lambda: not lives(pids()[0]), seconds=60, what="the handler is gone")
        assert run(isolated, NewTask(type="where")).status is Status.SUCCEEDED


def test_a_worker_told_to_stop_lets_its_handlers_finish_in_their_processes(
    isolated: Settings, trace: Path
) -> None:
    with worker_process(isolated, trace) as worker:
        enqueue(isolated, NewTask(type="sleep", payload={"seconds": 1}))
        until(lambda: bool(pids()), seconds=60, what="a handler runs")
        worker.signal(SIGTERM)
        assert worker.wait(60) == 0, worker.log()
    assert trace.read_text().splitlines()[-1] == "cleaned up"
    assert not lives(pids()[0])


def test_an_app_whose_handlers_cannot_be_isolated_does_not_start(
    isolated: Settings, trace: Path
) -> None:
    """The resource of one of its tasks does not open in the process."""
    broken = replace(isolated, app="tests.support.closed_app:app")
    with (
        pytest.raises(AssertionError, match="drawer: opening it failed: OSError: stuck"),
        worker_process(broken, trace),
    ):
        pass
