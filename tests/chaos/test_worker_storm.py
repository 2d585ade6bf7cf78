"""Thousands of tasks while workers are killed, and while Postgres is away: the books balance."""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from signal import SIGKILL, SIGTERM

import pytest

from tests.support import ledger, postgres, storage
from tests.support.worker import eventually_async
from tests.support.worker_process import WorkerProcess, traced, worker_process
from tidemill import NewTask
from tidemill.db import Database
from tidemill.schema import migrate
from tidemill.settings import Settings
from tidemill.store import Store
from tidemill_cli.local.postgres import EmbeddedPostgres

TASKS = 10_000
WORKERS = 4
KILLS = 12
AWAY_SECONDS = 20.0


async def enqueue(
    store: Store, count: int, seconds: float, queue: str = "default", first: int = 0
) -> None:
    """Enqueue tasks of both kinds: coroutines and functions in threads."""
    kinds = ("work", "work", "work", "block")
    tasks = [
        NewTask(
            type=kinds[n % len(kinds)],
            payload={"n": first + n, "seconds": seconds},
            queue=queue,
            max_retries=1000,
        )
        for n in range(count)
    ]
    for start in range(0, count, 1000):
        await store.tasks.enqueue(tasks[start : start + 1000])


async def attempts(db: Database, outcome: str) -> int:
    count = await db.fetchval("SELECT count(*) FROM tidemill.attempts WHERE outcome = $1", outcome)
    return int(count)


async def balanced(store: Store) -> int:
    """Check the books, and that all have succeeded; return how many."""
    await store.db.execute("VACUUM ANALYZE tidemill.ready, tidemill.scheduled, tidemill.leases")
    balance = await ledger.balance(store)
    assert balance["succeeded"] == sum(balance.values())
    return balance["succeeded"]


def nothing_left(db: Database) -> Callable[[], Awaitable[bool]]:
    async def empty() -> bool:
        return await storage.unended(db) == 0

    return empty


@pytest.mark.timeout(900)
async def test_ten_thousand_tasks_through_workers_that_are_killed_at_random_end_once_each(
    store: Store, db: Database, settings: Settings, tmp_path: Path
) -> None:
    trace, dice = tmp_path / "trace", random.Random(5)
    short = replace(settings, lease_seconds=2.0, recover_seconds=0.5)
    await enqueue(store, TASKS, 0.1)
    with ExitStack() as stack:

        async def started() -> WorkerProcess:
            # each kill charges all tasks in hand: none is given up, however unlucky
            starting = worker_process(short, trace, TIDEMILL_MAX_CRASHES="1000")
            return await asyncio.to_thread(stack.enter_context, starting)

        workers = [await started() for _ in range(WORKERS)]
        for kill in range(1, KILLS + 1):
            share = kill * TASKS // (KILLS + 4)

            async def so_many(share: int = share) -> bool:
                return await attempts(db, "succeeded") >= share

            await eventually_async(so_many, 240)
            victim = workers.pop(dice.randrange(len(workers)))
            victim.signal(SIGKILL)
            workers.append(await started())
        await eventually_async(nothing_left(db), 240)
        for worker in workers:
            worker.signal(SIGTERM)
        for worker in workers:
            assert await asyncio.to_thread(worker.wait) == 0, worker.log()
    assert await balanced(store) == TASKS
    assert await attempts(db, "lease_expired") > 0  # the kills did take tasks down
    ran = traced(trace)
    assert all(ran[f"end {n}"] >= 1 for n in range(TASKS))


@pytest.mark.timeout(900)
async def test_postgres_stopped_for_twenty_seconds_under_load_loses_and_repeats_nothing(
    private_server: EmbeddedPostgres, tmp_path: Path
) -> None:
    """Leases that outlast it: each task starts once. Shorter ones: each is recorded once."""
    settings = replace(postgres.settings_of(private_server.url("postgres")), lease_seconds=120.0)
    trace, count = tmp_path / "trace", 2000
    async with migrated(settings) as store:
        await store.queues.put("short", {"lease_seconds": AWAY_SECONDS / 4})
        await enqueue(store, count, 0.1, "long")
        await enqueue(store, count, 0.1, "short", first=count)
        with worker_process(settings, trace) as one, worker_process(settings, trace) as two:

            async def under_load() -> bool:
                return await attempts(store.db, "succeeded") >= count // 4

            await eventually_async(under_load, 120)
            await asyncio.to_thread(private_server.stop)
            await asyncio.sleep(AWAY_SECONDS)  # how long it is away is the subject
            await asyncio.to_thread(private_server.start)
            await eventually_async(nothing_left(store.db), 240)
            for worker in (one, two):
                worker.signal(SIGTERM)
            for worker in (one, two):
                assert await asyncio.to_thread(worker.wait) == 0, worker.log()
                assert "Traceback" not in worker.log(), worker.log()
        assert await balanced(store) == 2 * count
    ran = traced(trace)
    assert {ran[f"start {n}"] for n in range(count)} == {1}


@asynccontextmanager
async def migrated(settings: Settings) -> AsyncGenerator[Store]:
    database = Database.of(settings, application="tests")
    try:
        await migrate(database)
        yield Store.of(database)
    finally:
        await database.close()
