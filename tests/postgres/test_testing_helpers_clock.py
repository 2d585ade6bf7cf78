"""The clock of a test's database: it stands, and what is due is due without a sleep."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from tests.support import ledger, logins, postgres, storage
from tidemill import App
from tidemill.db import Database
from tidemill.models import NewTask
from tidemill.states import Outcome, Status
from tidemill.store import Store
from tidemill_worker.testing import Databases, TestWorker

app = App()


@app.task
async def work(n: int = 0) -> int:
    """Work."""
    return n


@pytest.fixture
async def worker(database_url: str) -> AsyncIterator[TestWorker]:
    async with TestWorker(app, database_url) as worker:
        yield worker


async def test_time_stands_while_it_is_frozen(worker: TestWorker) -> None:
    at = await worker.freeze()
    first = await work.enqueue()
    [ran] = await worker.drain()
    second = await work.enqueue()
    for each in (first, second):
        assert (await each.task()).created_at == at
    task = await worker.task(ran.task_id)
    assert (task.started_at, task.completed_at) == (at, at)
    assert await worker.freeze() == at


async def test_a_delay_is_due_to_the_second(worker: TestWorker, store: Store) -> None:
    await worker.freeze()
    await work.using(delay_seconds=3600).enqueue(n=1)
    await worker.advance(3599)
    assert await worker.drain() == []
    await worker.advance(1)
    assert [each.result for each in await worker.drain()] == [1]
    await ledger.balance(store)


async def test_weeks_may_go_by(worker: TestWorker) -> None:
    before = await worker.freeze()
    await work.using(delay_seconds=86400 * 40).enqueue(n=1)
    assert await worker.advance(days=40) == before + timedelta(days=40)
    await work.enqueue(n=2)
    assert [each.result for each in await worker.drain()] == [2, 1]
    later = await worker.assert_enqueued(work, {"n": 2})
    assert later[0].created_at == before + timedelta(days=40)


async def test_a_cron_slot_comes_with_the_clock(database_url: str) -> None:
    local = App()

    @local.task
    async def report(day: str) -> str:
        return day

    local.schedule("yearly", cron="0 0 1 1 *", task=report, payload={"day": "new year"})
    async with TestWorker(local, database_url) as worker:
        await worker.freeze()
        assert await worker.drain() == []
        await worker.advance(days=366)
        assert [each.result for each in await worker.drain()] == ["new year"]


async def test_what_expires_never_starts(worker: TestWorker) -> None:
    at = await worker.freeze()
    enqueued = await work.using(expires_at=at + timedelta(minutes=5)).enqueue()
    await worker.advance(minutes=6)
    assert await worker.drain() == []
    assert (await worker.task(enqueued.id)).status is Status.CANCELLED


async def test_a_lease_of_a_dead_worker_expires(worker: TestWorker, store: Store) -> None:
    await worker.freeze()
    enqueued = await work.enqueue(n=1)
    dead = await storage.worker(store)
    [claimed] = await storage.claim(store, dead, 1)
    assert claimed.id == enqueued.id
    await worker.advance(31)
    ran = await worker.drain()
    assert [(each.attempt, each.outcome) for each in ran] == [(2, Outcome.SUCCEEDED)]
    events = [each.event_type.value for each in await worker.history(enqueued.id)]
    assert "lease_expired" in events


async def test_an_idempotency_key_is_free_again(worker: TestWorker) -> None:
    await worker.freeze()
    keyed = work.using(idempotency_key="k")
    first = await keyed.enqueue()
    await worker.advance(hours=23)
    assert (await keyed.enqueue()).id == first.id
    await worker.advance(hours=1)
    assert (await keyed.enqueue()).id != first.id


async def test_tasks_of_one_moment_keep_their_order(worker: TestWorker) -> None:
    await worker.freeze()
    for n in range(20):
        await work.enqueue(n=n)
    assert [each.payload["n"] for each in await worker.tasks()] == list(range(20))
    assert [each.result for each in await worker.drain()] == list(range(20))


async def test_time_goes_on_only(worker: TestWorker) -> None:
    with pytest.raises(ValueError, match="time goes on only"):
        await worker.advance(-1)


async def test_a_producer_with_a_session_of_its_own_enqueues_at_that_time(
    worker: TestWorker, db: Database, database_url: str
) -> None:
    async with logins.login(db, database_url, "tidemill_producer") as (_, url):
        shop = await asyncpg.connect(url)
        try:
            at = await worker.advance(days=3)
            await shop.execute("SELECT tidemill.enqueue('work', '{\"n\": 5}', delay_seconds => 60)")
            assert await shop.fetchval("SELECT now()") < at, "its own clock goes on"
        finally:
            await shop.close()
    [task] = await worker.assert_enqueued(work, {"n": 5})
    assert (task.created_at, task.run_at) == (at, at + timedelta(seconds=60))
    await worker.advance(60)
    assert 5 in [each.result for each in await worker.drain()]


async def test_afterwards_the_database_is_as_before(database_url: str, db: Database) -> None:
    functions = (
        "SELECT oid::regprocedure::text, proconfig FROM pg_proc "
        "WHERE pronamespace = 'tidemill'::regnamespace ORDER BY 1"
    )
    before = await db.fetch(functions)
    async with TestWorker(app, database_url) as worker:
        await worker.advance(days=2)
        assert await db.fetch(functions) != before
    assert await db.fetch(functions) == before
    assert await db.fetchval("SELECT to_regnamespace('tidemill_clock') IS NULL")


async def test_a_clock_that_a_killed_test_left_standing_is_replaced(
    database_url: str, store: Store
) -> None:
    async with TestWorker(app, database_url) as worker:
        await worker.advance(days=2)
        worker.clock.stands = False  # as if the process had died here
    async with TestWorker(app, database_url) as worker:
        at = await worker.freeze()
        assert abs(at - datetime.now(UTC)) < timedelta(hours=1)
    [enqueued] = await store.tasks.enqueue([NewTask(type="work", payload={"n": 1})])
    assert abs(enqueued.created_at - datetime.now(UTC)) < timedelta(hours=1)


async def test_a_login_that_may_migrate_may_stop_the_clock(
    database_url: str, db: Database, server: postgres.Server
) -> None:
    assert database_url  # the roles exist
    async with logins.login(db, server.url, "tidemill_owner") as (user, url):
        await db.execute(f"ALTER ROLE {user} CREATEDB CREATEROLE")
        await db.execute(f"GRANT tidemill_app TO {user}")
        with Databases(url) as databases:
            own = databases.new()
            async with TestWorker(app, own) as worker:
                await work.using(delay_seconds=60).enqueue(n=1)
                await worker.advance(60)
                assert [each.result for each in await worker.drain()] == [1]
            databases.drop(own)
