"""Everything works through PgBouncer in transaction mode, and leaves nothing in its sessions."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import psycopg
import pytest

from tests.support import ledger, storage
from tests.support.pgbouncer import SERVER_SESSIONS, PgBouncer, pgbouncer
from tests.support.postgres import Server, settings_of
from tidemill.db import Database, wait_for_database
from tidemill.errors import ConfigurationError, DatabaseRefused, DatabaseUnavailable
from tidemill.models import NewTask, TaskType
from tidemill.notify import Hints, Listener
from tidemill.settings import Settings
from tidemill.states import Outcome, Status
from tidemill.store import Store
from tidemill.store.queues import Owner, QueueSettings
from tidemill_cli.local.postgres import EmbeddedPostgres

pytestmark = pytest.mark.timeout(600)  # the first of them may have to install it

CLIENTS = 20
ROUNDS = 5
# What a session of ours has without a pooler, and what one of the pooler's must have after us.
OURS = {
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "jit": "off",
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "1min",
    "transaction_isolation": "read committed",
}
# The settings that PgBouncer itself carries from one session to the next are not left behind.
LEFT = """
SELECT pg_backend_pid(),
       (SELECT count(*) FROM pg_prepared_statements),
       (SELECT count(*) FROM pg_listening_channels()),
       (SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'),
       (SELECT string_agg(name, ' ') FROM pg_settings
         WHERE source = 'session' AND name NOT IN ('application_name', 'client_encoding',
               'DateStyle', 'TimeZone', 'standard_conforming_strings'))
"""


@pytest.fixture(scope="module")
def bouncer(server: Server) -> Iterator[PgBouncer]:
    with pgbouncer(server.url) as running:
        yield running


@pytest.fixture
def pooled_url(bouncer: PgBouncer, database_url: str) -> str:
    return bouncer.url(database_url.rpartition("/")[2])


@pytest.fixture
def pooled(pooled_url: str) -> Settings:
    """Settings of a process that knows the pooler only."""
    return settings_of(pooled_url, database_pooler="transaction")


@pytest.fixture
async def pool(pooled: Settings) -> AsyncIterator[Database]:
    database = Database.of(pooled, application="tests")
    yield database
    await database.close()


async def shown(database: Database) -> dict[str, str]:
    return {name: await database.fetchval(f"SHOW {name}") for name in OURS}


async def test_a_transaction_has_what_a_session_of_its_own_would_have(
    pool: Database, db: Database
) -> None:
    assert await shown(pool) == await shown(db) == OURS
    async with pool.transaction(snapshot=True) as session:
        assert await session.fetchval("SHOW enable_seqscan") == "off"
        assert await session.fetchval("SHOW transaction_isolation") == "repeatable read"


async def test_pg_stat_activity_names_the_process(pool: Database) -> None:
    async with pool.transaction() as session:
        pid = await session.fetchval("SELECT pg_backend_pid()")
        name = "SELECT application_name FROM pg_stat_activity WHERE pid = $1"
        assert await session.fetchval(name, pid) == "tests"


async def test_a_task_lives_its_life(pool: Database, pooled_url: str) -> None:
    store = Store.of(pool)
    await store.types.register([TaskType(name="t")], app="tests")
    made = await storage.enqueue(store, 3, idempotency_key=None)
    again = [await storage.enqueue(store, idempotency_key="k") for _ in range(2)]
    assert [each[0].created for each in again] == [True, False]
    with psycopg.connect(pooled_url, prepare_threshold=None) as producer:
        producer.execute("SELECT tidemill.enqueue('t', '{}')")
    claimed = await storage.claim(store, await storage.worker(store))
    assert len(claimed) == 5
    leases = [each.lease for each in claimed]
    assert all(each.held for each in await store.leases.extend(leases, 30))
    first, second, *others = claimed
    await store.leases.finish(storage.ends([first], Outcome.RETRY, delay_seconds=60.0))
    await store.leases.finish(storage.ends(others, Outcome.SUCCEEDED))
    assert (await store.leases.recorded(leases, since=made[0].created_at)) >= {others[0].lease}
    await storage.expire_leases(pool, second.id)
    assert (await store.upkeep.recover(10, 3)).total() == 1
    await storage.make_due(pool)
    assert (await store.upkeep.promote(10)).total() > 0
    last = await storage.claim(store, await storage.worker(store))
    await store.leases.finish(storage.ends(last, Outcome.SUCCEEDED))
    assert await store.upkeep.fold(1000) > 0
    await store.upkeep.expire(1000)
    assert await store.upkeep.ensure_partitions() == 0
    await store.queues.configure("own", QueueSettings(max_retries=1), Owner("u", "ns/n"))
    task = await store.tasks.get(first.id)
    assert task is not None
    assert task.status is Status.SUCCEEDED
    assert len(await store.tasks.history(first.id)) >= 3
    assert (await ledger.balance(store))["succeeded"] == 5


async def work(pooled: Settings) -> int:
    """Enqueue, claim and end tasks as a process of its own; return how many were ended."""
    database = Database.of(pooled, application="tests", pool_size=3)
    store, done = Store.of(database), 0
    worker = await storage.worker(store)
    for _ in range(ROUNDS):
        await asyncio.gather(
            storage.enqueue(store, 3),
            store.tasks.enqueue([NewTask(type="t", idempotency_key="one for all")]),
            store.upkeep.fold(10),
        )
        claimed = await storage.claim(store, worker, 4)
        await store.leases.extend([each.lease for each in claimed], 30)
        done += len(await store.leases.finish(storage.ends(claimed, Outcome.SUCCEEDED)))
        await asyncio.gather(*(store.tasks.history(each.id) for each in claimed))
    await database.close()
    return done


async def test_twenty_processes_share_two_sessions_and_leave_nothing_in_them(
    bouncer: PgBouncer, pooled: Settings, pool: Database, database_url: str
) -> None:
    done = sum(await asyncio.gather(*(work(pooled) for _ in range(CLIENTS))))
    name = database_url.rpartition("/")[2]
    of_ours = [each for each in bouncer.show("SERVERS") if each["database"] == name]
    assert len(of_ours) == SERVER_SESSIONS
    balance = await ledger.balance(Store.of(pool))
    assert balance["succeeded"] == done
    assert sum(balance.values()) == CLIENTS * ROUNDS * 3 + 1
    assert await left_behind(bouncer.url(name)) == {(0, 0, 0, None)}


async def left_behind(url: str) -> set[tuple[object, ...]]:
    """Return what each of the pooler's sessions still holds, seen from all of them."""
    async with AsyncExitStack() as stack:
        found = dict[int, tuple[object, ...]]()
        for _ in range(SERVER_SESSIONS):  # each keeps its session by an open transaction
            client = await psycopg.AsyncConnection.connect(url, prepare_threshold=None)
            await stack.enter_async_context(client)
            row = await (await client.execute(LEFT)).fetchone()
            assert row is not None
            found[row[0]] = row[1:]
    assert len(found) == SERVER_SESSIONS
    return set(found.values())


async def test_a_statement_is_cut_by_the_server(pooled_url: str) -> None:
    short = Settings.load(
        {}, database_url=pooled_url, database_pooler="transaction", database_statement_seconds=1.0
    )
    database = Database.of(short, application="tests")
    with pytest.raises(DatabaseUnavailable, match="statement timeout"):
        await database.execute("SELECT pg_sleep(100)")
    assert await database.fetchval("SELECT 1") == 1
    await database.close()


async def test_hints_sent_through_the_pooler_are_heard_past_it(
    pool: Database, pooled_url: str, database_url: str
) -> None:
    settings = Settings.load(
        {},
        database_url=pooled_url,
        database_direct_url=database_url,
        database_pooler="transaction",
    )
    heard = asyncio.Queue[str]()
    listener = Listener(settings, application="listens")
    listener.subscribe(heard.put_nowait)
    async with listener, Hints(pool) as hints, asyncio.timeout(60):
        assert await heard.get() == ""
        hints.hint("mail")
        assert await heard.get() == "mail"


def test_without_a_direct_address_migrate_says_which_setting_is_missing(pooled: Settings) -> None:
    with pytest.raises(ConfigurationError, match="TIDEMILL_DATABASE_DIRECT_URL must be set"):
        Database.of(pooled, application="tidemill migrate", direct=True)


async def test_a_restart_of_the_pooler_costs_one_error_at_most_a_session(
    server: Server, database_url: str
) -> None:
    with pgbouncer(server.url) as own:
        url = own.url(database_url.rpartition("/")[2])
        database = Database.of(settings_of(url, database_pooler="transaction"), application="tests")
        assert await database.fetchval("SELECT 1") == 1
        own.stop()
        with pytest.raises(DatabaseUnavailable, match="the database cannot be used: "):
            await database.fetchval("SELECT 1")
        own.start()
        assert await database.fetchval("SELECT 1") == 1
        await database.close()


async def test_postgres_away_behind_the_pooler_is_told_soon_and_passes(
    private_server: EmbeddedPostgres,
) -> None:
    with pgbouncer(private_server.url()) as own:
        settings = settings_of(own.url("postgres"), database_pooler="transaction")
        database = Database.of(settings, application="tests")
        await database.execute("CREATE TABLE kept AS SELECT 1 AS a")
        await asyncio.to_thread(private_server.crash)
        async with asyncio.timeout(60):
            with pytest.raises(DatabaseUnavailable, match="the database cannot be used: "):
                await database.execute("INSERT INTO kept VALUES (2)")
        await asyncio.to_thread(private_server.start)
        await wait_for_database(database, 60)
        assert await database.fetchval("SELECT count(*) FROM kept") == 1
        await database.close()


async def test_who_gets_no_session_from_the_pooler_in_time_is_told(
    server: Server, database_url: str
) -> None:
    """All sessions are taken: a wait of four seconds here, after which the pooler ends it."""
    with pgbouncer(server.url, wait_seconds=4) as bouncer:
        url = bouncer.url(database_url.rpartition("/")[2])
        pooled = settings_of(url, database_pooler="transaction")
        pool = Database.of(pooled, application="tests")
        quick = dataclasses.replace(pooled, database_connect_seconds=2.0)
        hasty = Database.of(quick, application="tests")
        assert await hasty.fetchval("SELECT 1") == 1
        async with AsyncExitStack() as taken:
            for _ in range(SERVER_SESSIONS):
                await taken.enter_async_context(pool.transaction())
            with pytest.raises(DatabaseUnavailable, match="no answer in time"):
                await hasty.fetchval("SELECT 1")
            with pytest.raises(DatabaseUnavailable, match="query_wait_timeout"):
                await pool.fetchval("SELECT 1")
        assert await hasty.fetchval("SELECT 1") == 1
        assert await pool.fetchval("SELECT 1") == 1
        await storage.until(lambda: nobody_waits(bouncer))
        await asyncio.gather(hasty.close(), pool.close())


async def nobody_waits(bouncer: PgBouncer) -> bool:
    """Whether no client of the pooler waits for a session."""
    return not [each for each in bouncer.show("POOLS") if each["cl_waiting"]]


@pytest.mark.parametrize("wrong", ["password", "database", "user"])
async def test_who_is_not_let_in_is_told_at_once_and_in_one_line(
    bouncer: PgBouncer, wrong: str
) -> None:
    url = bouncer.url("no_such" if wrong == "database" else "postgres")
    if wrong == "password":
        url = url.replace("@", "wrong@")
    if wrong == "user":
        url = url.replace("//tidemill", "//nobody")
    database = Database.of(settings_of(url, database_pooler="transaction"), application="tests")
    with pytest.raises(DatabaseRefused) as caught:
        await wait_for_database(database, 60)
    await database.close()
    assert "\n" not in str(caught.value)
