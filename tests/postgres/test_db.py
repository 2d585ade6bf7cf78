"""The database's edge: errors in our words, sessions that are given back clean."""

import asyncio
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from tests.support import postgres, storage
from tests.support.postgres import Server
from tidemill.db import Database, wait_for_database
from tidemill.dberrors import translated
from tidemill.errors import DatabaseRefused, DatabaseUnavailable
from tidemill.models import NewTask
from tidemill.settings import Settings
from tidemill.states import Outcome
from tidemill.store import Store
from tidemill_cli.local.postgres import EmbeddedPostgres

NOBODY = "postgresql://nobody:x@127.0.0.1:1/none"


def other(url: str, **parts: str) -> Database:
    address = urlunsplit(urlsplit(url)._replace(**parts))
    return Database.of(postgres.settings_of(address), application="tests")


async def test_who_is_refused_is_told_at_once(database_url: str) -> None:
    host = urlsplit(database_url).netloc.rpartition("@")[2]
    for db in (
        other(database_url, netloc=f"tidemill:wrong@{host}"),
        other(database_url, path="/no_such_database"),
    ):
        with pytest.raises(DatabaseRefused, match="the database refused: "):
            await wait_for_database(db, 60)
        await db.close()


async def test_who_is_away_is_waited_for(private_server: EmbeddedPostgres) -> None:
    db = Database.of(postgres.settings_of(private_server.url()), application="tests")
    private_server.stop()
    with pytest.raises(DatabaseUnavailable, match="the database cannot be used: "):
        await wait_for_database(db, 0)
    waiting = asyncio.create_task(wait_for_database(db, 60))
    await asyncio.to_thread(private_server.start)
    await waiting
    await db.close()


async def test_a_cut_session_is_unavailable_once_and_then_replaced(
    server: Server, database_url: str, settings: Settings
) -> None:
    db = Database.of(settings, application="tests", pool_size=2)
    sleeping = asyncio.create_task(db.execute("SELECT pg_sleep(100)"))
    name = urlsplit(database_url).path.lstrip("/")

    async def cut() -> int:
        return server.cut(name)

    await storage.until(cut)
    with pytest.raises(DatabaseUnavailable):
        await sleeping
    assert await db.fetchval("SELECT 1") == 1
    with pytest.raises(DatabaseUnavailable):
        await _cut_inside_a_transaction(server, name, db)
    assert await db.fetchval("SELECT 1") == 1
    await db.close()


async def _cut_inside_a_transaction(server: Server, name: str, db: Database) -> None:
    async with db.transaction() as session:
        await session.execute("CREATE TABLE mine ()")
        server.cut(name)
        await session.execute("CREATE TABLE mine_too ()")


async def test_a_statement_has_its_longest_time(database_url: str) -> None:
    short = Settings.load({}, database_url=database_url, database_statement_seconds=1.0)
    db = Database.of(short, application="tests")
    with pytest.raises(DatabaseUnavailable):
        await db.execute("SELECT pg_sleep(100)")
    assert await db.fetchval("SELECT 1") == 1
    await db.close()


async def test_a_deadlock_is_for_trying_again(db: Database) -> None:
    async def lock(first: int, second: int, met: asyncio.Barrier) -> None:
        async with db.transaction() as session:
            await session.execute("SELECT pg_advisory_xact_lock($1)", first)
            await met.wait()
            await session.execute("SELECT pg_advisory_xact_lock($1)", second)

    met = asyncio.Barrier(2)
    told = await asyncio.gather(lock(1, 2, met), lock(2, 1, met), return_exceptions=True)
    assert sorted(type(each).__name__ for each in told) == ["DatabaseUnavailable", "NoneType"]


async def test_our_own_mistakes_pass_as_they_are(db: Database) -> None:
    with pytest.raises(asyncpg.PostgresSyntaxError):
        await db.execute("SELEKT")
    with pytest.raises(asyncpg.InterfaceError):
        await db.fetch("SELECT $1::int")


@pytest.mark.parametrize("error", [TimeoutError, ConnectionError, OSError, asyncpg.InterfaceError])
async def test_what_a_borrower_raises_is_the_borrowers(
    db: Database, error: type[Exception]
) -> None:
    async def borrow() -> None:
        async with db.transaction() as session:
            await session.execute("CREATE TABLE mine ()")
            raise error("the connection was closed")

    with pytest.raises(error) as caught:
        await borrow()
    assert type(caught.value) is error
    assert await db.fetchval("SELECT to_regclass('mine') IS NULL") is True


async def test_a_cancelled_transaction_is_rolled_back(settings: Settings) -> None:
    db = Database.of(settings, application="tests", pool_size=2)
    inside = asyncio.Event()

    async def borrow(statement: str) -> None:
        async with db.transaction() as session:
            await session.execute("SELECT pg_advisory_xact_lock(5)")
            inside.set()
            await session.execute(statement)
            await asyncio.Event().wait()

    for statement in ("SELECT 1", "SELECT pg_sleep(100)"):
        inside.clear()
        task = asyncio.create_task(borrow(statement))
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await storage.until(lambda: db.fetchval("SELECT pg_try_advisory_xact_lock(5)"))
    await db.close()


async def test_a_snapshot_sees_one_moment_and_writes_nothing(db: Database, store: Store) -> None:
    async with db.transaction(snapshot=True) as session:
        before = await session.fetchval("SELECT count(*) FROM tidemill.tasks")
        await storage.enqueue(store)
        assert await session.fetchval("SELECT count(*) FROM tidemill.tasks") == before
        assert await session.fetchval("SHOW transaction_read_only") == "on"


async def test_everything_works_without_prepared_statements(database_url: str) -> None:
    """What a transaction pooler leaves: no cache, no session settings, transactions only."""
    pooled = Settings.load({}, database_url=database_url, database_pooler="transaction")
    db = Database.of(pooled, application="tests")
    store = Store.of(db)
    await storage.enqueue(store, 5)
    claimed = await storage.claim(store, await storage.worker(store))
    assert len(await store.leases.finish(storage.ends(claimed, Outcome.SUCCEEDED))) == 5
    assert await store.upkeep.fold(10) == 3
    assert len(await store.tasks.history(claimed[0].id)) == 2
    async with db.session() as session:
        assert await session.fetchval("SELECT count(*) FROM pg_prepared_statements") <= 1
    await db.close()
    await db.close()


async def test_the_servers_default_isolation_does_not_matter(
    db: Database, database_url: str, settings: Settings
) -> None:
    name = urlsplit(database_url).path.lstrip("/")
    await db.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")
    fresh = Database.of(settings, application="tests")
    async with fresh.transaction() as session:
        assert await session.fetchval("SHOW transaction_isolation") == "read committed"
    await fresh.close()


async def test_an_unreachable_server_costs_one_clear_line() -> None:
    db = Database.of(postgres.settings_of(NOBODY), application="tests")
    with pytest.raises(DatabaseUnavailable) as caught:
        await db.fetchval("SELECT 1")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("table", ["tasks", "attempts"])
async def test_a_day_without_partitions_is_for_trying_again(
    db: Database, store: Store, table: str
) -> None:
    """Everything was off for more than a week: maintenance comes first, and nothing is lost."""
    worker = await storage.worker(store)
    await storage.enqueue(store)
    claimed = await storage.claim(store, worker)
    today = await db.fetchval("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')")
    await db.execute(f"ALTER TABLE tidemill.{table} DETACH PARTITION tidemill.{table}_{today}")
    await db.execute(f"DROP TABLE tidemill.{table}_{today}")
    ends = storage.ends(claimed, Outcome.SUCCEEDED)
    with pytest.raises(DatabaseUnavailable, match="no partition"):
        await (
            store.tasks.enqueue([NewTask(type="t")])
            if table == "tasks"
            else store.leases.finish(ends)
        )
    assert await store.upkeep.ensure_partitions() == 1
    await storage.enqueue(store)
    assert len(await store.leases.finish(ends)) == 1


async def test_a_broken_constraint_is_no_reason_to_try_again(db: Database) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await db.execute("INSERT INTO tidemill.queues (name) VALUES ('no name')")


async def test_a_session_that_the_driver_cannot_use_any_more_is_not_lent_again(
    db: Database,
) -> None:
    """Between the announcement of a session's end and the end itself asyncpg refuses statements."""
    pids = list[int]()

    async def refused() -> None:
        async with db.session() as session:
            pids.append(await session.fetchval("SELECT pg_backend_pid()"))
            with translated():
                raise asyncpg.InternalClientError("cannot switch to state 15")

    with pytest.raises(DatabaseUnavailable):
        await refused()

    assert await db.fetchval("SELECT pg_backend_pid()") not in pids
