"""What Postgres undid is done again; what may have happened is not."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlsplit

import pytest

from tests.support import storage
from tests.support.postgres import Server
from tidemill.db import TRIES, Database, Session
from tidemill.errors import DatabaseUnavailable
from tidemill.settings import Settings

# Updates both rows in one statement; which one first is the caller's to say, and in between it
# waits until somebody else holds the other one, the first time only.
FIXTURE = """
CREATE TABLE pair (id integer PRIMARY KEY, touched integer NOT NULL DEFAULT 0);
INSERT INTO pair VALUES (1), (2);
CREATE TABLE calls (at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE SEQUENCE tries;
CREATE FUNCTION touch(first integer, other integer) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    PERFORM nextval('tries');
    UPDATE pair SET touched = touched + 1 WHERE id = first;
    PERFORM pg_advisory_xact_lock_shared(first);
    FOR n IN 1..500 LOOP
        EXIT WHEN EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = other::oid)
               OR (SELECT last_value FROM tries) > 2;
        PERFORM pg_sleep(0.01);
    END LOOP;
    UPDATE pair SET touched = touched + 1 WHERE id = other;
    RETURN first;
END $$;
CREATE FUNCTION conflict(times integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    n bigint := nextval('tries');
BEGIN
    INSERT INTO calls DEFAULT VALUES;
    IF n <= times THEN
        RAISE EXCEPTION 'a queue of this batch was deleted meanwhile' USING ERRCODE = '40001';
    END IF;
    RETURN n;
END $$
"""
Touch = Callable[[int, int], Awaitable[int]]


@pytest.fixture
async def table(db: Database) -> None:
    await db.execute(FIXTURE)


@pytest.fixture(params=["statement", "transaction", "pooled statement", "pooled transaction"])
async def touch(
    request: pytest.FixtureRequest, table: None, database_url: str
) -> AsyncIterator[Touch]:
    """Touch both rows, by a way that tries again by itself."""
    assert table is None
    pooler = "transaction" if "pooled" in request.param else "none"
    settings = Settings.load({}, database_url=database_url, database_pooler=pooler)
    used = Database.of(settings, application="tests")

    async def by_statement(first: int, other: int) -> int:
        return int(await used.fetchval("SELECT touch($1, $2)", first, other))

    async def by_transaction(first: int, other: int) -> int:
        async def act(session: Session) -> int:
            return int(await session.fetchval("SELECT touch($1, $2)", first, other))

        return await used.retrying(act)

    yield by_statement if "statement" in request.param else by_transaction
    await used.close()


async def test_both_sides_of_a_deadlock_get_done_once(touch: Touch, db: Database) -> None:
    assert tuple(await asyncio.gather(touch(1, 2), touch(2, 1))) == (1, 2)
    assert await db.fetchval("SELECT last_value FROM tries") == 3  # one of them twice
    assert [row["touched"] for row in await db.fetch("SELECT * FROM pair")] == [2, 2]


@pytest.mark.usefixtures("table")
async def test_a_conflict_is_tried_again_a_few_times(db: Database) -> None:
    assert await db.fetchval("SELECT conflict($1)", TRIES - 1) == TRIES
    assert await db.fetchval("SELECT count(*) FROM calls") == 1


@pytest.mark.usefixtures("table")
async def test_a_conflict_that_does_not_end_is_told_in_one_line(db: Database) -> None:
    with pytest.raises(DatabaseUnavailable, match="was deleted meanwhile") as caught:
        await db.execute("SELECT conflict(1000)")
    assert "\n" not in str(caught.value)
    assert await db.fetchval("SELECT last_value FROM tries") == TRIES
    assert await db.fetchval("SELECT count(*) FROM calls") == 0


@pytest.mark.usefixtures("table")
async def test_what_may_have_happened_is_not_done_again(
    db: Database, server: Server, database_url: str, settings: Settings
) -> None:
    other = Database.of(settings, application="tests", pool_size=2)
    running = asyncio.create_task(other.execute("SELECT nextval('tries'), pg_sleep(100)"))
    sleeps = "SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE '%, pg_sleep(100)'"
    await storage.until(lambda: db.fetchval(f"{sleeps} AND state = 'active'"))
    server.cut(urlsplit(database_url).path.lstrip("/"))
    with pytest.raises(DatabaseUnavailable):
        await running
    assert await other.fetchval("SELECT last_value FROM tries") == 1
    await other.close()


async def test_a_migration_under_a_running_process_costs_nothing(db: Database) -> None:
    """Statements were prepared for the table as it was; in a transaction they fail once then."""

    async def read(session: Session) -> dict[str, object]:
        row = await session.fetchrow("SELECT * FROM mine")
        return dict(row or {})

    await db.execute("CREATE TABLE mine AS SELECT 1 AS a")
    assert await db.retrying(read) == {"a": 1}
    await db.execute("ALTER TABLE mine ADD COLUMN b integer")
    assert await db.retrying(read) == {"a": 1, "b": None}


async def test_a_transaction_in_which_a_statement_failed_is_not_told_as_committed(
    db: Database,
) -> None:
    async def swallow() -> None:
        async with db.transaction() as session:
            await session.execute("CREATE TABLE mine ()")
            with pytest.raises(Exception, match="division by zero"):
                await session.execute("SELECT 1 / 0")

    with pytest.raises(Exception, match="rolled back: a statement had failed"):
        await swallow()
    assert await db.fetchval("SELECT to_regclass('mine') IS NULL")
