"""Time limits that Postgres itself keeps, for the processes that cannot any more."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support import postgres, storage
from tidemill.address import CLIENT_GRACE_SECONDS, connect_options
from tidemill.db import Database, connect
from tidemill.errors import DatabaseUnavailable
from tidemill.schema import migrate, status
from tidemill.settings import Settings

ACTIVITY = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND state = $2"


@pytest.fixture(params=["none", "transaction"])
async def short(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[Database]:
    """A database with a time limit of a second, with and without what a pooler asks for."""
    settings = Settings.load(
        {}, database_url=database_url, database_statement_seconds=1.0, database_pooler=request.param
    )
    database = Database.of(settings, application="short")
    yield database
    await database.close()


async def test_the_server_ends_a_statement_that_takes_too_long(
    short: Database, db: Database
) -> None:
    with pytest.raises(DatabaseUnavailable, match="canceling statement due to statement timeout"):
        await short.execute("SELECT pg_sleep(100)")
    assert await db.fetchval(ACTIVITY, "short", "active") == 0
    assert await short.fetchval("SELECT 1") == 1


def test_the_driver_waits_longer_than_the_server(settings: Settings) -> None:
    """Else it would cut the connection before the server's answer is there."""
    options = connect_options(settings, application="tests")
    assert options["server_settings"]["statement_timeout"] == "30000ms"
    assert options["command_timeout"] == 30 + CLIENT_GRACE_SECONDS


async def test_the_server_ends_a_transaction_whose_process_says_nothing_any_more(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process frozen in the middle of a transaction holds its locks no longer than that."""
    monkeypatch.setattr("tidemill.address.IDLE_IN_TRANSACTION_SECONDS", 1)
    frozen = Database.of(settings, application="frozen")

    async def freeze() -> None:
        async with frozen.transaction() as session:
            await session.execute("SELECT pg_advisory_xact_lock(7)")
            await storage.until(lambda: db.fetchval("SELECT pg_try_advisory_xact_lock(7)"))
            await session.execute("SELECT 1")

    with pytest.raises(DatabaseUnavailable):
        await freeze()
    assert await frozen.fetchval("SELECT 1") == 1
    await frozen.close()


async def test_a_migration_is_not_cut_by_the_limit_of_statements(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for another that holds the lock, and takes its time, far beyond the limit."""
    slow = [(1, "0001_slow", f"{OLDEST}\n{MIGRATIONS}\nSELECT pg_sleep(1.5);")]
    monkeypatch.setattr("tidemill.schema.sql.migrations", lambda: slow)
    short = Settings.load({}, database_url=empty_database_url, database_statement_seconds=1.0)
    database = Database.of(short, application="tidemill migrate")
    holder = await connect(postgres.settings_of(empty_database_url), application="holder")
    await holder.execute("BEGIN; SELECT pg_advisory_xact_lock(7349115201)")
    migrating = asyncio.create_task(migrate(database))
    watching = Database.of(postgres.settings_of(empty_database_url), application="tests")
    await storage.until_blocked(watching)
    await asyncio.sleep(1.5)  # beyond the limit: it has to pass for the test to say anything
    await holder.execute("COMMIT")
    assert await migrating == ["0001_slow"]
    assert (await status(database)).current == 1
    await asyncio.gather(holder.close(), database.close(), watching.close())


OLDEST = "-- Oldest code that may run on the schema after this migration: 1"
MIGRATIONS = """
CREATE SCHEMA tidemill;
CREATE TABLE tidemill.migrations (number integer, name text, oldest_code integer);
"""


@pytest.mark.parametrize("pooler", ["none", "transaction"])
async def test_pg_stat_activity_names_the_process(
    db: Database, database_url: str, pooler: str
) -> None:
    settings = Settings.load({}, database_url=database_url, database_pooler=pooler)
    database = Database.of(settings, application="tidemill api")
    assert await database.fetchval("SELECT 1") == 1
    assert await db.fetchval(ACTIVITY, "tidemill api", "idle") == 1
    await database.close()
