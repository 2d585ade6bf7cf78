"""`TestWorker`: a real worker on a real database, for tests of tasks."""

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Annotated

import pytest

from examples import isolation
from tests.support import ledger, storage
from tidemill import App, Context, Resource, Retry, Snooze
from tidemill.db import Database
from tidemill.errors import ConfigurationError
from tidemill.states import Outcome, Status
from tidemill.store import Store
from tidemill_worker.testing import TaskFailures, TestWorker

app = App()
order: list[str] = []


async def open_rate() -> AsyncIterator[float]:
    raise ConnectionError("the rates are elsewhere")
    yield 1.0


@app.task
async def parent(children: int = 0) -> int:
    """Enqueue children."""
    order.append("parent")
    for n in range(children):
        await child.enqueue(n=n)
    return children


@app.task(max_retries=2)
def child(context: Context, n: int) -> int:
    """Fail at first."""
    order.append(f"child {n}")
    if context.attempt == 1 and n == 1:
        raise ValueError(f"not {n} at once")
    return n


@app.task
async def priced(cents: int, rate: Annotated[float, Resource(open_rate)]) -> float:
    """Multiply."""
    return cents * rate


@app.task
async def sleeper(seconds: float) -> None:
    """Sleep."""
    await asyncio.sleep(seconds)


@pytest.fixture
async def worker(database_url: str) -> AsyncIterator[TestWorker]:
    order.clear()
    async with TestWorker(app, database_url, resources={open_rate: 1.5}) as worker:
        yield worker


async def test_nothing_runs_before_the_drain_and_then_all_of_it_in_order(
    worker: TestWorker, store: Store
) -> None:
    enqueued = await parent.enqueue(children=1)
    assert order == []
    ran = await worker.drain()
    assert order == ["parent", "child 0"]
    assert [(each.type, each.outcome, each.result) for each in ran] == [
        ("parent", Outcome.SUCCEEDED, 1),
        ("child", Outcome.SUCCEEDED, 0),
    ]
    assert ran[0].task_id == enqueued.id
    assert (ran[1].payload, ran[1].queue, ran[1].attempt) == ({"n": 0}, "default", 1)
    assert await worker.drain() == []
    assert (await ledger.balance(store))["succeeded"] == 2


async def test_a_failed_attempt_fails_the_drain_with_its_traceback(worker: TestWorker) -> None:
    await child.enqueue(n=0)
    await child.enqueue(n=1)
    with pytest.raises(TaskFailures) as raised:
        await worker.drain()
    message = str(raised.value)
    assert message.startswith("1 of 2 attempts failed:\n  child (attempt 1) retry: ValueError: not")
    assert "in child\n" in message
    assert len(raised.value.ran) == 2


async def test_without_the_check_failures_are_outcomes(worker: TestWorker) -> None:
    await child.enqueue(n=1)
    [ran] = await worker.drain(check=False)
    assert ran.outcome is Outcome.RETRY
    assert ran.error is not None
    assert ran.error["message"] == "not 1 at once"
    task = await worker.task(ran.task_id)
    assert (task.status, task.run_at) == (Status.SCHEDULED, ran.run_at)


async def test_a_retry_is_due_once_the_clock_was_moved(worker: TestWorker, store: Store) -> None:
    await child.enqueue(n=1)
    await worker.drain(check=False)
    assert await worker.drain() == []
    await worker.advance(3600)
    [ran] = await worker.drain()
    assert (ran.attempt, ran.outcome) == (2, Outcome.SUCCEEDED)
    events = [each.event_type.value for each in await worker.history(ran.task_id)]
    assert events == [
        "task_queued", "task_started", "retry_scheduled", "task_started", "task_succeeded",
    ]  # fmt: skip
    await ledger.balance(store)


async def test_retries_that_are_due_at_once_run_in_the_same_drain(database_url: str) -> None:
    local = App()

    @local.task(max_retries=2)
    async def stubborn(context: Context) -> str:
        if context.attempt < 3:
            raise Retry(after=0)
        return "done"

    async with TestWorker(local, database_url) as worker:
        await stubborn.enqueue()
        ran = await worker.drain(check=False)
    assert [each.outcome for each in ran] == [Outcome.RETRY, Outcome.RETRY, Outcome.SUCCEEDED]


async def test_a_snooze_is_no_failure(database_url: str) -> None:
    local = App()

    @local.task
    async def later() -> None:
        raise Snooze(60)

    async with TestWorker(local, database_url) as worker:
        await later.enqueue()
        [ran] = await worker.drain()
        assert ran.outcome is Outcome.SNOOZED


async def test_resources_can_be_given(worker: TestWorker) -> None:
    await priced.enqueue(cents=100)
    [ran] = await worker.drain()
    assert ran.result == 150


async def test_tasks_run_one_by_one_unless_told_otherwise(database_url: str) -> None:
    local, here, most = App(), 0, 0

    @local.task
    async def meet() -> None:
        nonlocal here, most
        here += 1
        most = max(most, here)
        await asyncio.sleep(0.05)
        here -= 1

    for concurrency, seen in ((1, 1), (3, 3)):
        async with TestWorker(local, database_url, concurrency=concurrency) as worker:
            for _ in range(3):
                await meet.enqueue()
            assert len(await worker.drain()) == 3
        assert (here, most) == (0, seen)


async def test_a_drain_that_does_not_end_says_so(worker: TestWorker) -> None:
    await sleeper.enqueue(seconds=1000)
    with pytest.raises(TimeoutError, match=r"after 0\.5 s tasks still run or wait"):
        await worker.drain(seconds=0.5)


async def test_what_is_paused_or_for_later_is_not_waited_for(
    worker: TestWorker, store: Store
) -> None:
    await parent.using(queue="held").enqueue()
    await store.queues.pause("held")
    await parent.using(delay_seconds=60).enqueue()
    assert await worker.drain() == []


async def test_handlers_with_processes_of_their_own_have_them(database_url: str) -> None:
    async with TestWorker(isolation.app, database_url) as worker:
        await isolation.render.enqueue(page="a")
        await isolation.render.enqueue(page="b", bug="crash")
        good, bad = await worker.drain(check=False)
    assert good.result.rpartition(" ")[2] != str(os.getpid())
    assert bad.error is not None
    assert bad.error["type"] == "ProcessDied"


async def test_enqueued_tasks_are_found_whatever_became_of_them(worker: TestWorker) -> None:
    await worker.assert_nothing_enqueued()
    await parent.using(queue="mine").enqueue(children=2)
    await worker.drain(check=False)
    assert [each.type for each in await worker.tasks()] == ["parent", "child", "child"]
    await worker.assert_enqueued(child, count=2)
    [task] = await worker.assert_enqueued("parent", {"children": 2}, queue="mine")
    assert task.result == 2
    await worker.assert_enqueued(child, status="scheduled", retry_count=1, count=1)
    await worker.assert_nothing_enqueued(priced)
    with pytest.raises(AssertionError, match=r'2\. child  \{"n":0\}  queue=default'):
        await worker.assert_nothing_enqueued(child)


async def test_after_the_block_the_app_enqueues_elsewhere(
    worker: TestWorker, database_url: str
) -> None:
    inside = app.client
    async with TestWorker(app, database_url) as second:
        assert app.client is second.client
    assert app.client is inside
    assert inside is worker.client


async def test_a_database_that_another_worker_works_on_is_refused(
    database_url: str, store: Store
) -> None:
    await storage.worker(store)
    with pytest.raises(ConfigurationError, match="works on this database"):
        async with TestWorker(app, database_url):
            pass


async def test_an_empty_database_gets_the_schema(empty_database_url: str, db: Database) -> None:
    assert await db.fetchval("SELECT 1") == 1
    async with TestWorker(app, empty_database_url, resources={open_rate: 1.0}) as worker:
        await parent.enqueue()
        assert len(await worker.drain()) == 1
