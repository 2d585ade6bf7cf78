"""Migrations: what they make, that they can be run by anybody entitled, twice and together."""

import asyncio
from collections.abc import Iterator

import asyncpg
import pytest

from tests.support import postgres, schema_dump, storage
from tests.support.postgres import Server
from tidemill import schema, sql
from tidemill.db import Database
from tidemill.errors import ConfigurationError, DatabaseUnavailable, SchemaMismatch
from tidemill.states import Outcome
from tidemill.store import Store
from tidemill_cli.local import installs
from tidemill_cli.local.postgres import EmbeddedPostgres

NAMES = [name for _, name, _ in sql.migrations()]
MAJORS = sorted({each.major for each in installs.installs()}) or [schema_dump.MAJOR]


@pytest.fixture
async def empty(empty_database_url: str) -> Database:
    return Database.of(postgres.settings_of(empty_database_url), application="tests")


@pytest.fixture(params=MAJORS)
def version_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database on a server of each version found here."""
    with postgres.private_server(request.param) as server:
        yield server.url()


def test_schema_sql_is_what_the_migrations_make() -> None:
    made = schema_dump.current()
    assert made == schema_dump.FILE.read_text("utf-8"), "run `make schema` and look at the diff"


async def test_every_version_migrates_prepares_and_works(version_url: str) -> None:
    db = Database.of(postgres.settings_of(version_url), application="tests")
    try:
        assert await schema.migrate(db) == [name for _, name, _ in sql.migrations()]
        async with db.session() as session:
            for name in sql.queries():
                await session.connection.prepare(sql.load(name))
        store = Store.of(db)
        await db.execute("SELECT tidemill.enqueue('t')")
        claimed = await storage.claim(store, await storage.worker(store))
        assert len(await store.leases.finish(storage.ends(claimed, Outcome.FAILED))) == 1
        assert await store.upkeep.fold(10) == 3
        assert (await store.stats.stats()).counts.failed_tasks == 1
    finally:
        await db.close()


@pytest.mark.parametrize("name", sql.queries())
async def test_every_statement_prepares(db: Database, name: str) -> None:
    async with db.session() as session:
        await session.connection.prepare(sql.load(name))


@pytest.mark.parametrize("name", sql.queries())
def test_every_statement_says_what_it_is_for_and_locks(name: str) -> None:
    text = sql.load(name)
    assert text.startswith("-- Purpose: ")
    assert "\n-- Locks: " in text
    numbers = [number for number in range(1, 20) if f"${number}" in text]
    assert numbers == list(range(1, len(numbers) + 1))


async def test_migrating_twice_is_harmless(empty: Database) -> None:
    assert await schema.migrate(empty) == NAMES
    assert await schema.migrate(empty) == []
    found = await schema.status(empty)
    assert (found.current, found.fits, found.pending) == (schema.LATEST, True, ())
    await empty.close()


async def test_migrations_at_once_wait_for_each_other(empty: Database) -> None:
    applied = await asyncio.gather(*(schema.migrate(empty) for _ in range(4)))
    assert sorted(name for names in applied for name in names) == NAMES  # each once, whoever did it
    await empty.close()


async def test_databases_of_one_server_may_migrate_at_once(
    private_server: EmbeddedPostgres,
) -> None:
    """Roles belong to the server: two databases' first migrations may both want to make them."""
    url = private_server.url("postgres")
    server = Server(url)
    pools = [
        Database.of(postgres.settings_of(server.url_of(server.database())), application="tests")
        for _ in range(3)
    ]
    applied = await asyncio.gather(*(schema.migrate(pool) for pool in pools))
    assert applied == [NAMES] * 3
    for pool in pools:
        await pool.close()
    server.close()


async def test_a_number_that_no_migration_has_is_refused(empty: Database) -> None:
    with pytest.raises(ConfigurationError, match=r"--to must be 1 to \d+ \(got 99\)"):
        await schema.migrate(empty, to=99)
    await empty.close()


@pytest.mark.parametrize(("oldest", "fits"), [(1, True), (schema.LATEST + 1, False)])
async def test_a_newer_schema_says_whether_this_code_may_run(
    db: Database, oldest: int, fits: bool
) -> None:
    newer = schema.LATEST + 1
    await db.execute(
        "INSERT INTO tidemill.migrations (number, name, oldest_code) VALUES ($1, 'next', $2)",
        newer,
        oldest,
    )
    assert await schema.migrate(db) == []
    found = await schema.status(db)
    assert (found.current, found.fits, found.too_new) == (newer, fits, not fits)
    if fits:
        await schema.wait_for_schema(db, 0)
    else:
        with pytest.raises(SchemaMismatch, match=f"needs code for at least {oldest}"):
            await schema.wait_for_schema(db, 60)


async def test_a_process_waits_for_an_older_schema(empty: Database) -> None:
    waiting = asyncio.create_task(schema.wait_for_schema(empty, 60))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(waiting), 0.01)
    await schema.migrate(empty)
    await waiting
    await empty.close()


async def test_a_process_does_not_wait_forever(empty: Database) -> None:
    with pytest.raises(SchemaMismatch, match="run `tidemill migrate`"):
        await schema.wait_for_schema(empty, 0)
    await empty.close()
    away = Database.of(
        postgres.settings_of("postgresql://nobody:x@127.0.0.1:1/none"), application="tests"
    )
    with pytest.raises(DatabaseUnavailable):
        await schema.wait_for_schema(away, 0)


async def test_down_drops_everything_and_up_makes_it_again(db: Database) -> None:
    await storage.enqueue(Store.of(db))
    assert await schema.migrate_down(db) == ["tidemill"]
    assert await schema.migrate_down(db) == []
    assert (await schema.status(db)).current == 0
    assert await schema.migrate(db) == NAMES
    assert await storage.count(db, "tasks") == 0


async def test_partitions_are_made_ahead_once(db: Database) -> None:
    upkeep = Store.of(db).upkeep
    assert await upkeep.ensure_partitions(7) == 0
    assert await upkeep.ensure_partitions(9) == 4
    assert sum(await asyncio.gather(*(upkeep.ensure_partitions(20) for _ in range(6)))) == 22
    with pytest.raises(asyncpg.InvalidParameterValueError, match=r"days_ahead: must be 1 to 60"):
        await upkeep.ensure_partitions(0)


async def test_ids_of_either_side_of_midnight_find_their_partition(db: Database) -> None:
    """A batch's ids run up to 10 ms ahead of the clock: over the end of the day, too."""
    rows = await db.fetch(
        "WITH days AS (SELECT date_trunc('day', now(), 'UTC') + n * interval '1 day' AS day "
        "              FROM generate_series(-1, 7) AS n) "
        "SELECT to_char((day + away) AT TIME ZONE 'UTC', 'YYYYMMDD') AS expected, "
        "       tidemill.uuid_at((extract(epoch FROM day + away) * 1000000)::bigint, "
        "                        tidemill.uuid_salt()) AS id "
        "FROM days, unnest(ARRAY[interval '0', '1 us', '10 ms', '1 day -1 us']) AS away"
    )
    for row in rows:
        await db.execute(
            "INSERT INTO tidemill.tasks (id, queue_id, type, priority, max_retries, "
            "timeout_seconds, created_at, payload) VALUES ($1, 1, 't', 0, 0, 1, now(), '{}')",
            row["id"],
        )
    where = "SELECT id, right(tableoid::regclass::text, 8) AS day FROM tidemill.tasks"
    found = {row["id"]: row["day"] for row in await db.fetch(where)}
    assert found == {row["id"]: row["expected"] for row in rows}
