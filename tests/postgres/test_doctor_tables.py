"""`tidemill doctor` on our tables: vacuum, storage settings, partitions, indexes, the schema."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.support import doctor, storage
from tidemill import schema
from tidemill.db import Database
from tidemill.doctor import Level, tables
from tidemill.settings import Settings


async def today(db: Database) -> datetime:
    moment: datetime = await db.fetchval("SELECT statement_timestamp()")
    return moment.astimezone(UTC)


async def test_what_the_migrations_make_is_well(settings: Settings) -> None:
    for check in ("schema", "storage_settings", "dead_rows", "partitions", "indexes"):
        assert await doctor.well(settings, check), check


async def test_dead_rows_that_vacuum_does_not_take(settings: Settings, db: Database) -> None:
    await db.execute("ALTER TABLE tidemill.workers SET (autovacuum_enabled = off)")
    await db.execute(
        "INSERT INTO tidemill.workers (name, slots, queues, version, hostname, pid) "
        "SELECT 'w', 1, '{}', '', 'h', n FROM generate_series(1, 400) AS n"
    )
    await db.execute("DELETE FROM tidemill.workers")

    async def told() -> bool:
        return (await doctor.one(settings, "dead_rows")).level is not Level.OK

    await storage.until(told)  # the server counts with a delay
    found = await doctor.one(settings, "dead_rows")
    assert found.level is Level.WARNING
    assert found.figures["table"] == "workers"
    assert found.figures["dead"] == 400
    assert "400 dead rows beside 0 live ones; autovacuum starts at 50" in found.finding
    await db.execute("VACUUM tidemill.workers")
    assert await doctor.well(settings, "dead_rows")


async def test_room_of_a_past_backlog_is_a_note(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "BLOATED", 1)
    found = await doctor.asked(settings, "dead_rows")
    assert {each.level for each in found} == {Level.NOTE}
    assert all("room of a past backlog" in each.finding for each in found)


async def test_storage_settings_that_were_changed_and_how_to_mend_them(
    settings: Settings, db: Database
) -> None:
    await db.execute("ALTER TABLE tidemill.ready RESET (autovacuum_vacuum_threshold)")
    await db.execute("ALTER TABLE tidemill.leases SET (fillfactor = 100, vacuum_truncate = off)")
    leases, ready = await doctor.asked(settings, "storage_settings")
    assert "autovacuum_vacuum_threshold is unset instead of 10000" in ready.finding
    assert "fillfactor is 100 instead of 80" in leases.finding
    assert "vacuum_truncate is off, which the migrations leave unset" in leases.finding
    for found in (leases, ready):
        for statement in found.advice.removeprefix("unless you know why, as owner: ").split("; "):
            await db.execute(statement)
    assert await doctor.well(settings, "storage_settings")


@pytest.mark.parametrize(
    ("ahead", "level", "when"),
    [
        (0, Level.PROBLEM, "today: every enqueue or end of a task fails"),
        (1, Level.PROBLEM, "tomorrow"),
        (5, Level.WARNING, "in 5 days"),
    ],
)
async def test_a_partition_that_is_missing(
    settings: Settings, db: Database, ahead: int, level: Level, when: str
) -> None:
    name = f"attempts_{await today(db) + timedelta(days=ahead):%Y%m%d}"
    await db.execute(f"DROP TABLE tidemill.{name}")
    found = await doctor.one(settings, "partitions")
    assert found.level is level
    assert f"1 daily partition missing, the first {when} ({name})" == found.finding
    await db.execute(found.advice.split(";")[0])
    assert await doctor.well(settings, "partitions")


async def test_a_partition_that_is_detached_hides_its_tasks(
    settings: Settings, db: Database
) -> None:
    name = f"tasks_{await today(db):%Y%m%d}"
    await db.execute(f"ALTER TABLE tidemill.tasks DETACH PARTITION tidemill.{name}")
    missing, detached = await doctor.asked(settings, "partitions")
    assert missing.level is detached.level is Level.PROBLEM
    assert f"tidemill.{name} exists and is no partition of tidemill.tasks" in detached.finding


async def test_partitions_that_should_be_gone(settings: Settings, db: Database) -> None:
    starts = (await today(db)).replace(hour=0, minute=0, second=0, microsecond=0)
    for days in (20, 40):
        day = starts - timedelta(days=days)
        await db.execute(
            f"CREATE TABLE tidemill.attempts_{day:%Y%m%d} PARTITION OF tidemill.attempts "
            f"FOR VALUES FROM ('{day}') TO ('{day + timedelta(days=1)}')"
        )
    found = await doctor.one(settings, "partitions")
    assert (found.level, len(found.figures["old"])) == (Level.NOTE, 1)
    assert "1 partition older than the longest keep time of 30 d" in found.finding
    await db.execute("INSERT INTO tidemill.queues (name, failed_seconds) VALUES ('q', 7776000)")
    assert await doctor.well(settings, "partitions")


async def test_an_index_that_is_invalid(settings: Settings, db: Database) -> None:
    await db.execute(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'tidemill.ready_order'::regclass"
    )
    found = await doctor.one(settings, "indexes")
    assert found.level is Level.PROBLEM
    assert found.advice == "as owner: REINDEX INDEX CONCURRENTLY tidemill.ready_order"
    await db.execute(found.advice.removeprefix("as owner: "))
    assert await doctor.well(settings, "indexes")


async def test_an_empty_database_has_no_schema(empty_database_url: str) -> None:
    settings = Settings.load({}, database_url=empty_database_url)
    found = await doctor.one(settings, "schema")
    assert (found.level, found.figures["current"]) == (Level.PROBLEM, 0)
    assert "tidemill migrate" in found.advice
    assert (await doctor.one(settings, "leases")).finding.startswith("not looked at")


async def test_an_older_schema_is_a_problem_and_the_rest_is_looked_at(
    settings: Settings, db: Database
) -> None:
    await db.execute("UPDATE tidemill.migrations SET number = 0 WHERE number = 1")
    await db.execute("DELETE FROM tidemill.migrations WHERE number > 1")
    await db.execute("UPDATE tidemill.migrations SET number = $1", schema.LATEST - 1)
    found = await doctor.one(settings, "schema")
    assert found.level is Level.PROBLEM
    assert f"is older than this code's {schema.LATEST}" in found.finding


async def test_a_newer_schema_says_whether_this_code_may_run(
    settings: Settings, db: Database
) -> None:
    newer = schema.LATEST + 1
    insert = "INSERT INTO tidemill.migrations (number, name, oldest_code) VALUES ($1, 'next', $2)"
    await db.execute(insert, newer, 1)
    assert (await doctor.one(settings, "schema")).level is Level.NOTE
    await db.execute("UPDATE tidemill.migrations SET oldest_code = $1", newer)
    found = await doctor.one(settings, "schema")
    assert (found.level, found.advice) == (Level.PROBLEM, "upgrade this Tidemill")


async def test_migrations_with_a_gap_are_a_problem(settings: Settings, db: Database) -> None:
    await db.execute("UPDATE tidemill.migrations SET number = 900 WHERE number = 1")
    await db.execute("UPDATE tidemill.migrations SET oldest_code = 1")
    found = await doctor.one(settings, "schema")
    assert found.level is Level.PROBLEM
    assert "lacks migrations before it: 0001_initial" in found.finding
