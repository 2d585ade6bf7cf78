"""`tidemill doctor` on the server, on who holds back vacuum, and on what it may not see."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.support import doctor, logins, postgres, storage
from tidemill import db as database
from tidemill.db import Database
from tidemill.doctor import Level, examination, examine, holders, probes
from tidemill.errors import DatabaseRefused, DatabaseUnavailable
from tidemill.schema import migrate
from tidemill.settings import Settings
from tidemill.store import Store
from tidemill_cli.local import installs

MAJORS = sorted({each.major for each in installs.installs()})
Login = Callable[[str], Coroutine[Any, Any, Settings]]


@pytest.fixture
async def login(db: Database, database_url: str) -> AsyncIterator[Login]:
    """Settings with a login of this test's database that has one role."""
    async with AsyncExitStack() as made:

        async def login_of(role: str) -> Settings:
            _, url = await made.enter_async_context(logins.login(db, database_url, role))
            return postgres.settings_of(url)

        yield login_of


async def test_the_apps_login_is_enough_for_every_check(login: Login, store: Store) -> None:
    await storage.enqueue(store)
    for role in ("tidemill_app", "tidemill_operator"):
        report = await examine(await login(role))
        assert not [each for each in report.findings if "could not be looked at" in each.finding]
        roles = next(each.figures["roles"] for each in report.findings if each.check == "login")
        assert roles == [role]


async def test_nothing_is_written(login: Login, db: Database) -> None:
    settings = await login("tidemill_app")
    user = urlsplit(settings.database_url).username
    await db.execute(f"ALTER ROLE {user} SET default_transaction_read_only = on")
    report = await examine(settings)
    assert not [each for each in report.findings if "could not be looked at" in each.finding]
    told = [each for each in report.findings if "default_transaction_read_only" in each.finding]
    assert [each.advice for each in told] == [
        f"ALTER ROLE {user} RESET default_transaction_read_only"
    ]


async def test_a_held_snapshot_is_named_with_its_session(
    settings: Settings, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holders, "LONG_SECONDS", 0.0)
    holder = await database.connect(settings, application="report")
    try:
        await holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        pid = await holder.fetchval("SELECT pg_backend_pid()")
        await db.execute("SELECT txid_current()")
        found = await doctor.one(settings, "transactions")
        assert found.level is Level.WARNING
        assert f"a transaction of report, login tidemill, pid {pid} (idle in" in found.finding
        assert found.figures["seconds"] > 0
        await db.execute(found.advice.split(";")[0].removeprefix("end it: "))
        await storage.until(lambda: doctor.well(settings, "transactions"))
    finally:
        holder.terminate()


async def test_of_others_sessions_the_age_is_known_and_that_times_are_hidden_is_said(
    login: Login, settings: Settings, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holders, "OLD_TRANSACTIONS", 3)
    app = await login("tidemill_app")
    holder = await database.connect(settings, application="report")
    try:
        await holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        await holder.fetchval("SELECT 1")
        for _ in range(4):
            await db.execute("SELECT txid_current()")
        found = await doctor.one(app, "transactions")
        assert "for a time that this login may not see" in found.finding
        assert found.figures["transactions"] >= 4
        hidden = await doctor.one(app, "login")
        assert hidden.level is Level.NOTE
        await db.execute(hidden.advice)
        assert await doctor.well(app, "login")
    finally:
        holder.terminate()


async def test_a_replication_slot_that_nobody_reads(
    settings: Settings, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await doctor.well(settings, "replication_slots")
    await db.execute("SELECT pg_create_physical_replication_slot('forgotten', true)")
    try:
        found = await doctor.one(settings, "replication_slots")
        assert found.level is Level.NOTE
        assert "physical replication slot forgotten is used by nobody, keeps" in found.finding
        monkeypatch.setattr(holders, "MUCH_WAL", 0)
        assert (await doctor.one(settings, "replication_slots")).level is Level.WARNING
    finally:
        await db.execute(found.advice.rpartition(": ")[2])
    assert await doctor.well(settings, "replication_slots")


async def test_a_prepared_transaction_that_nobody_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holders, "LONG_SECONDS", 0.0)
    if reason := postgres.missing():
        pytest.skip(reason)
    with postgres.private_server(max_prepared_transactions="2") as server:
        settings = postgres.settings_of(server.url())
        with psycopg.connect(server.url(), autocommit=True) as session:
            session.execute("BEGIN")
            session.execute("SELECT txid_current()")
            session.execute("PREPARE TRANSACTION 'it''s open'")
            found = await doctor.one(settings, "prepared_transactions")
            assert found.level is Level.WARNING
            assert "the prepared transaction 'it''s open' of tidemill waits" in found.finding
            session.execute(found.advice.rpartition(" or ")[2].encode())
        assert await doctor.well(settings, "prepared_transactions")


@pytest.mark.parametrize(
    ("setting", "level"),
    [
        ("synchronous_commit = off", Level.PROBLEM),
        ("default_transaction_isolation = 'repeatable read'", None),
    ],
)
async def test_a_setting_of_the_database_that_hurts_and_how_to_mend_it(
    settings: Settings, db: Database, setting: str, level: Level | None
) -> None:
    """Sessions of ours ask for read committed themselves, so that one does no harm."""
    name = await db.fetchval("SELECT quote_ident(current_database())")
    await db.execute(f"ALTER DATABASE {name} SET {setting}")
    word = setting.partition(" ")[0]
    found = [e for e in await doctor.asked(settings, "settings") if e.finding.startswith(word)]
    assert [each.level for each in found] == ([level] if level else [])
    for each in found:
        assert each.advice == f"ALTER DATABASE {name} RESET {word}"
        await db.execute(each.advice)
        told = await doctor.asked(settings, "settings")
        assert not [again for again in told if again.finding.startswith(word)]


async def test_server_settings_that_hurt() -> None:
    if reason := postgres.missing():
        pytest.skip(reason)
    with postgres.private_server(autovacuum="off", track_counts="off") as server:
        found = await doctor.asked(postgres.settings_of(server.url()), "settings")
    told = {each.finding.split()[0]: each for each in found}
    assert {"autovacuum", "track_counts", "fsync"} <= set(told)
    assert told["autovacuum"].level is Level.PROBLEM


async def test_connections_that_run_out(settings: Settings, db: Database) -> None:
    assert await doctor.well(settings, "connections")
    name = await db.fetchval("SELECT quote_ident(current_database())")
    await db.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 3")
    found = await doctor.one(settings, "connections")
    assert (found.level, found.figures["limit"]) == (Level.PROBLEM, 3)
    assert "of 3 connections of this database used" in found.finding
    assert found.figures["by_application"]["tidemill doctor"] >= 1


async def test_a_login_that_is_no_member_of_ours(login: Login) -> None:
    stranger = await login("pg_monitor")
    found = await doctor.one(stranger, "login")
    user = urlsplit(stranger.database_url).username
    assert (found.level, found.advice) == (Level.PROBLEM, f"GRANT tidemill_app TO {user}")
    assert "could not be looked at" in (await doctor.one(stranger, "schema")).finding


async def test_privileges_that_a_restore_lost(login: Login, db: Database) -> None:
    await db.execute("REVOKE INSERT ON tidemill.ready FROM tidemill_app")
    await db.execute("REVOKE EXECUTE ON FUNCTION tidemill.ensure_partitions FROM tidemill_app")
    found = (await doctor.asked(await login("tidemill_app"), "login"))[0]
    assert found.level is Level.PROBLEM
    assert "INSERT on tidemill.ready" in found.finding
    assert "EXECUTE on tidemill.ensure_partitions" in found.finding


async def test_a_check_that_fails_is_told_and_the_rest_goes_on(
    settings: Settings, db: Database
) -> None:
    await db.execute("DROP TABLE tidemill.dead_letters CASCADE")
    found = await doctor.one(settings, "dead_letters")
    assert found.level is Level.WARNING
    assert 'could not be looked at: relation "tidemill.dead_letters" does not' in found.finding
    assert await doctor.well(settings, "bodies")


async def test_a_locked_table_does_not_hold_the_doctor_up(
    settings: Settings, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examination, "STATEMENT_SECONDS", 0.2)
    async with db.transaction() as session:
        await session.execute("LOCK tidemill.workers")
        found = await doctor.one(settings, "workers")
        assert found.level is Level.WARNING
        assert "canceling statement due to statement timeout" in found.finding
        assert await doctor.well(settings, "leases")


async def test_without_a_direct_address_past_the_pooler_it_says_polling(settings: Settings) -> None:
    pooled = Settings.load({}, database_url=settings.database_url, database_pooler="transaction")
    found = await doctor.one(pooled, "listener")
    assert found.level is Level.NOTE
    assert "processes here poll, every 1 s" in found.finding
    assert "no pooler was seen" in (await doctor.one(pooled, "pooler")).finding


async def test_a_direct_address_of_another_database_hears_nothing(
    settings: Settings, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await doctor.well(settings, "listener")
    monkeypatch.setattr(probes, "HEAR_SECONDS", 0.2)
    for direct, said in (
        (empty_database_url, "was not heard within 0.2 s"),
        ("postgresql://x@127.0.0.1:1/x", "the direct address cannot be used to listen"),
    ):
        elsewhere = Settings.load(
            {}, database_url=settings.database_url, database_direct_url=direct
        )
        found = await doctor.one(elsewhere, "listener")
        assert found.level is Level.WARNING
        assert said in found.finding


async def test_without_a_session_there_is_nothing_to_look_at(database_url: str) -> None:
    with pytest.raises(DatabaseUnavailable):
        await examine(postgres.settings_of("postgresql://x@127.0.0.1:1/x"))
    with pytest.raises(DatabaseRefused):
        await examine(postgres.settings_of(database_url.rpartition("/")[0] + "/no_such"))


async def test_sql_producers_that_are_held_to_other_rules_than_the_api(
    settings: Settings, db: Database
) -> None:
    assert await doctor.well(settings, "sql_producers")
    strict = Settings.load(
        {}, database_url=settings.database_url, unknown_types="reject", max_payload_bytes=1000
    )
    told = await doctor.asked(strict, "sql_producers")
    assert [each.level for each in told] == [Level.NOTE] * 2
    assert told[0].finding == (
        "SQL producers have unknown_types accept (not set), and TIDEMILL_UNKNOWN_TYPES is reject "
        "here"
    )
    for each in told:
        await db.execute(each.advice.removeprefix("if they should agree: "))
    assert await doctor.well(strict, "sql_producers")
    name = await db.fetchval("SELECT quote_ident(current_database())")
    await db.execute(f"ALTER DATABASE {name} SET tidemill.create_queues_on_enqueue = maybe")
    found = await doctor.one(strict, "sql_producers")
    assert found.level is Level.PROBLEM
    assert "is 'maybe', which is no value of it" in found.finding
    await db.execute(f"ALTER DATABASE {name} SET tidemill.create_queues_on_enqueue = yes")
    assert await doctor.well(strict, "sql_producers")


@pytest.mark.parametrize("major", MAJORS)
async def test_every_version_can_be_examined(major: int) -> None:
    with postgres.private_server(major) as server:
        settings = postgres.settings_of(server.url())
        pool = Database.of(settings, application="tests")
        await migrate(pool)
        await pool.close()
        report = await examine(settings)
    assert not [each for each in report.findings if "could not be looked at" in each.finding]
    told = next(each for each in report.findings if each.check == "server")
    assert told.level is Level.OK
    assert str(told.figures["version"]).startswith(str(major))
