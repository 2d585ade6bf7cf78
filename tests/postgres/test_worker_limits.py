"""Queues with limits, with real workers: never too much at once, and no idling below the limit."""

import asyncio
import time
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import ledger, spans, storage
from tests.support.spans import Span, most_at_once
from tests.support.worker import eventually, eventually_async
from tests.support.worker_process import worker_process
from tidemill import App, NewTask
from tidemill.client import Client
from tidemill.settings import Settings
from tidemill.store import Store
from tidemill_worker import Worker


@pytest.fixture
def ran(app: App) -> list[Span]:
    """When tasks of type `task` ran."""
    seen: list[Span] = []

    @app.task
    async def task(seconds: float) -> None:
        began = time.time()
        await asyncio.sleep(seconds)
        seen.append(Span(began, time.time()))

    return seen


def tasks(count: int, seconds: float, kind: str = "task", queue: str = "limited") -> list[NewTask]:
    return [NewTask(type=kind, queue=queue, payload={"seconds": seconds}) for _ in range(count)]


@pytest.mark.timeout(240)
async def test_three_processes_run_three_at_once_and_no_place_stays_empty(
    settings: Settings, store: Store, client: Client, tmp_path: Path
) -> None:
    await store.db.execute(spans.TABLE)
    await store.queues.put("limited", {"max_running": 3})
    environ = {"TIDEMILL_CONCURRENCY": "10", "TIDEMILL_POLL_SECONDS": "60"}
    with ExitStack() as processes:
        for _ in range(3):
            processes.enter_context(worker_process(settings, tmp_path / "trace", **environ))
        await client.enqueue_many(tasks(60, 0.3, kind="span"))

        async def all_ended() -> bool:
            ended = await store.db.fetchval("SELECT count(ended) = 60 FROM public.spans")
            return ended and await storage.unended(store.db) == 0  # recorded, too

        # workers that only poll would need 60 s for each nine tasks, so seven minutes
        await eventually_async(all_ended, seconds=100)
    seen = await spans.read(store.db)
    assert most_at_once(seen) == 3
    assert (await ledger.balance(store))["succeeded"] == 60


@pytest.mark.timeout(300)
async def test_a_rate_holds_over_two_workers_and_is_used(
    app: App, settings: Settings, store: Store, client: Client, ran: list[Span]
) -> None:
    rate, count = 20, 120
    await store.queues.put("limited", {"rate_tasks": rate, "rate_seconds": 1})
    async with AsyncExitStack() as workers:
        for _ in range(2):
            await workers.enter_async_context(Worker(app, settings=settings))
        began = time.time()
        await client.enqueue_many(tasks(count, 0.001))
        # at the full rate 5 s; a rate that is not used after its first bucket never gets there
        await eventually(lambda: len(ran) == count, seconds=60)
    starts = sorted(each.began - began for each in ran)
    for number, start in enumerate(starts, 1):
        assert number <= rate + rate * start + 1  # a bucket, and what has run into it since


@pytest.mark.timeout(300)
async def test_a_limit_that_is_set_while_tasks_run_holds_for_the_next_and_can_be_lifted(
    app: App, settings: Settings, store: Store, client: Client, ran: list[Span]
) -> None:
    stored = await client.enqueue_many(tasks(400, 0.05))

    async def at_most_two() -> bool:
        return await storage.count(store.db, "leases") <= 2

    async with Worker(app, settings=replace(settings, concurrency=10)):
        await eventually(lambda: len(ran) > 50)
        await store.queues.put("limited", {"max_running": 2})
        await storage.until(at_most_two)  # what was claimed before has ended
        held = time.time()
        await eventually(lambda: sum(each.began > held for each in ran) > 40)
        lifted = time.time()
        await store.queues.put("limited", {"max_running": None})
        await eventually(lambda: len(ran) == len(stored), seconds=60)
    assert most_at_once([each for each in ran if each.ended < held]) == 10
    assert most_at_once([each for each in ran if held < each.began < lifted]) == 2
    assert most_at_once([each for each in ran if each.began > lifted]) > 2


@pytest.mark.timeout(300)
async def test_a_limited_queue_and_a_busy_one_share_a_worker(
    app: App, settings: Settings, store: Store, client: Client
) -> None:
    """The open queue's prefetch fills the slots; the limited one still gets its turn."""
    await store.queues.put("limited", {"max_running": 2})
    order: list[str] = []

    @app.task
    async def quick(queue: str) -> None:
        order.append(queue)

    def quick_ones(queue: str, count: int) -> list[NewTask]:
        return [NewTask(type="quick", queue=queue, payload={"queue": queue}) for _ in range(count)]

    await client.enqueue_many(quick_ones("open", 9_000))
    await client.enqueue_many(quick_ones("limited", 20))
    async with Worker(app, settings=settings):
        await eventually(lambda: len(order) == 9_020, seconds=60)
    assert order[:9_000].count("limited") > 3
