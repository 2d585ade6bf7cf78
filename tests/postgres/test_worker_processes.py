"""Handlers in processes of their own, with a real worker and its database."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.support import ledger, process_app
from tests.support.handler_processes import lives, pids, traced
from tests.support.process_app import app, trace
from tests.support.worker import eventually, eventually_async, finished
from tidemill import App, Client, Context, Middleware, NewTask
from tidemill.models import Task
from tidemill.sdk.middleware import Call
from tidemill.settings import Settings
from tidemill.states import Event, Status
from tidemill.store import Store
from tidemill_worker import Worker
from tidemill_worker.processes import process as process_module


@pytest.fixture(autouse=True)
def trace_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACE", str(tmp_path / "trace"))


@pytest.fixture
def isolated(settings: Settings) -> Settings:
    return replace(settings, app="tests.support.process_app:app", concurrency=2, drain_seconds=0.2)


@pytest.fixture
async def worker(isolated: Settings) -> AsyncIterator[Worker]:
    async with Worker(app, settings=isolated) as running:
        yield running


def error_of(task: Task) -> tuple[str, str]:
    assert task.last_error is not None
    return task.last_error["type"], task.last_error["message"]


async def test_a_process_that_dies_is_a_failed_attempt_and_the_worker_lives_on(
    worker: Worker, client: Client, store: Store
) -> None:
    dies = await client.enqueue(NewTask(type="die", payload={"how": "exit"}, max_retries=0))
    ended = await finished(store, dies.id)
    assert ended.status is Status.FAILED
    assert error_of(ended) == ("ProcessDied", "ended with exit code 3")
    works = await client.enqueue(NewTask(type="where"))
    assert (await finished(store, works.id)).status is Status.SUCCEEDED
    assert worker.ready
    figures = await ledger.balance(store)
    assert (figures["failed"], figures["succeeded"]) == (1, 1)


async def test_a_process_that_eats_memory_is_a_failed_attempt_that_says_so(
    worker: Worker, client: Client, store: Store
) -> None:
    eats = await client.enqueue(NewTask(type="eat", payload={"megabytes": 250}, max_retries=0))
    kind, message = error_of(await finished(store, eats.id))
    assert kind == "ProcessDied"
    assert message.endswith("more than max_memory_mb=150")
    assert worker.ready


async def test_a_handler_that_hangs_for_ever_is_killed_at_its_timeout_and_its_slot_is_free(
    worker: Worker, client: Client, store: Store
) -> None:
    hangs = await client.enqueue(NewTask(type="hang", timeout_seconds=3.0, max_retries=0))
    assert error_of(await finished(store, hangs.id)) == (
        "TimedOut",
        "ran past its timeout of 3 s",
    )
    await eventually(lambda: worker.running == 0)
    await eventually(lambda: not any(map(lives, pids())), 60)


async def test_a_cancelled_handler_is_stopped_and_recorded_as_cancelled(
    worker: Worker, client: Client, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_module, "TERM_SECONDS", 60.0)  # time to clean up
    sleeps = await client.enqueue(NewTask(type="sleep", payload={"seconds": 60.0}))
    await eventually(lambda: bool(pids()), 60)
    await store.acts.cancel([sleeps.id])
    assert (await finished(store, sleeps.id)).status is Status.CANCELLED
    await eventually(lambda: traced()[-1:] == ["cleaned up"], 60)
    assert worker.ready


async def test_a_drain_gives_back_what_runs_in_a_process_uncharged(
    isolated: Settings, client: Client, store: Store
) -> None:
    async with Worker(app, settings=isolated):
        hangs = await client.enqueue(NewTask(type="hang"))
        await eventually(lambda: len(pids()) == 3, 60)
    task = await client.get(hangs.id)
    assert (task.status, task.retry_count) == (Status.QUEUED, 0)
    await eventually(lambda: not any(map(lives, pids())))
    events = [event.event_type for event in await store.tasks.history(hangs.id)]
    assert events[-1] is Event.TASK_RELEASED


async def test_progress_of_a_handler_in_a_process_is_shown_while_it_runs(
    worker: Worker, client: Client, store: Store
) -> None:
    reports = await client.enqueue(NewTask(type="report"))

    async def shown() -> bool:
        task = await store.tasks.get(reports.id)
        return task is not None and (task.progress or {}).get("done") == 1000

    await eventually_async(shown, 60)
    trace("that will do")
    assert (await finished(store, reports.id)).status is Status.SUCCEEDED
    assert worker.ready


async def test_what_a_handler_raises_in_a_process_is_recorded_with_its_own_traceback(
    worker: Worker, client: Client, store: Store
) -> None:
    fails = await client.enqueue(NewTask(type="fail", payload={"how": "value"}))
    task = await finished(store, fails.id)
    assert error_of(task) == ("ValueError", "wrong")  # `discard_on`: for good, at once
    assert task.last_error is not None
    assert "process_app.py" in task.last_error["traceback"]
    assert (task.status, task.retry_count) == (Status.FAILED, 0)
    waits = await client.enqueue(NewTask(type="fail", payload={"how": "retry"}))
    await eventually_async(lambda: scheduled(store, waits.id))
    assert worker.ready


async def scheduled(store: Store, task_id: UUID) -> bool:
    """Whether a task waits for its retry."""
    task = await store.tasks.get(task_id)
    return task is not None and task.status is Status.SCHEDULED and task.retry_count == 1


async def test_middleware_goes_around_a_handler_in_a_process(
    isolated: Settings, client: Client, store: Store
) -> None:
    seen: list[object] = []

    class Noting(Middleware):
        async def run(self, context: Context, call: Call) -> Any:
            try:
                seen.append(await call())
            except Exception as error:
                seen.append(str(error))
                raise
            return f"{context.type}, noted"

    noted = App(middleware=[Noting()])
    for each in (process_app.where, process_app.fail):
        noted.task(isolation="process", max_retries=0)(each.function)
    async with Worker(noted, settings=isolated):
        works = await client.enqueue(NewTask(type="where"))
        assert (await finished(store, works.id)).result == "where, noted"
        fails = await client.enqueue(NewTask(type="fail", payload={"how": "value"}))
        assert error_of(await finished(store, fails.id)) == ("ValueError", "wrong")
    assert isinstance(seen[0], int)
    assert seen[1] == "ValueError: wrong"
