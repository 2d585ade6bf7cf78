"""`tidemill doctor` through PgBouncer, and beside a standby."""

import psycopg
import pytest

from tests.support import doctor, storage
from tests.support.pgbouncer import pgbouncer
from tests.support.postgres import Server, settings_of
from tests.support.standby import caught_up, standby_of
from tidemill.db import Database
from tidemill.doctor import CHECKS, Level, examine, holders
from tidemill.schema import migrate
from tidemill.settings import Settings
from tidemill_cli.local.postgres import EmbeddedPostgres

pytestmark = pytest.mark.timeout(600)  # the first of them may have to install it


async def test_it_works_through_a_transaction_pooler(server: Server, database_url: str) -> None:
    with pgbouncer(server.url) as pooler:
        pooled = settings_of(
            pooler.url(database_url.rpartition("/")[2]), database_pooler="transaction"
        )
        report = await examine(pooled)
        assert {each.check for each in report.findings} == {check.name for check in CHECKS}
        assert not [each for each in report.findings if "could not be looked at" in each.finding]
        told = {each.check: each for each in report.findings}
        assert told["pooler"].finding == "a transaction pooler stands between, as set"
        assert "processes here poll" in told["listener"].finding
        direct = Settings.load(
            {},
            database_url=pooled.database_url,
            database_pooler="transaction",
            database_direct_url=database_url,
        )
        assert await doctor.well(direct, "listener")


async def test_a_standby_is_no_place_to_work_and_may_hold_back_vacuum(
    private_server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holders, "OLD_TRANSACTIONS", 5)
    with standby_of(private_server) as standby:
        settings = settings_of(private_server.url())
        db = Database.of(settings, application="tests")
        await migrate(db)
        caught_up(private_server, standby)
        with psycopg.connect(standby.url(), autocommit=True) as reader:
            for change in ("hot_standby_feedback = on", "wal_receiver_status_interval = 1"):
                reader.execute(f"ALTER SYSTEM SET {change}".encode())
            reader.execute("SELECT pg_reload_conf()")
            reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            reader.execute("SELECT 1 FROM tidemill.queues")
            for _ in range(10):
                await db.execute("SELECT txid_current()")

            async def told() -> bool:
                return not await doctor.well(settings, "standbys")

            await storage.until(told)
            found = await doctor.one(settings, "standbys")
            assert found.level is Level.WARNING
            assert "(hot_standby_feedback)" in found.finding
            there = await doctor.one(settings_of(standby.url()), "server")
            assert there.level is Level.PROBLEM
            assert "is a standby: nothing can be written" in there.finding
        await db.close()
