"""The processes behind PgBouncer in transaction mode, with no address past it: all by polling."""

import asyncio
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.conftest import running_api
from tests.support import ledger, storage
from tests.support.http import ask
from tests.support.pgbouncer import PgBouncer, pgbouncer
from tests.support.postgres import Server, settings_of
from tests.support.worker_process import traced, worker_process
from tidemill.db import Database
from tidemill.settings import Settings
from tidemill.store import Store

pytestmark = pytest.mark.timeout(600)  # the first of them may have to install it

TASKS = 50


@pytest.fixture(scope="module")
def bouncer(server: Server) -> Iterator[PgBouncer]:
    with pgbouncer(server.url, sessions=4) as running:
        yield running


@pytest.fixture
def pooled(bouncer: PgBouncer, database_url: str) -> Settings:
    url = bouncer.url(database_url.rpartition("/")[2])
    return settings_of(url, database_pooler="transaction")


async def test_api_and_worker_processes_work_by_polling_alone(
    pooled: Settings, db: Database, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    polling = {"TIDEMILL_DATABASE_POOLER": "transaction", "TIDEMILL_POLL_SECONDS": "0.2"}
    task = {"type": "work", "payload": {"n": 0, "seconds": 0.0}}
    async with running_api(dataclasses.replace(pooled, fold_seconds=0.2)) as http:
        with worker_process(pooled, trace, **polling) as worker:
            one = await ask(http, "POST", "/api/tasks", json=task)
            assert one.status == 201
            many = [{**task, "payload": {"n": n, "seconds": 0.0}} for n in range(1, TASKS)]
            assert (await ask(http, "POST", "/api/tasks/batch", json=many)).status == 201
            delayed = await ask(http, "POST", "/api/tasks", json={**task, "delay_seconds": 0.1})
            assert delayed.json["status"] == "scheduled"
            await storage.until(lambda: succeeded(db, TASKS + 1))
            shown = await ask(http, "GET", f"/api/tasks/{one.json['id']}")
            assert shown.json["status"] == "succeeded"
            assert (await ask(http, "GET", f"/api/tasks/{one.json['id']}/history")).status == 200
            listening = (
                "SELECT count(*) FROM pg_stat_activity "
                "WHERE datname = current_database() AND query ILIKE 'LISTEN%'"
            )
            assert await db.fetchval(listening) == 0
            worker.process.terminate()
            assert await asyncio.to_thread(worker.wait) == 0
            assert "Traceback" not in worker.log()
    assert sum(count for event, count in traced(trace).items() if event.startswith("end")) == (
        TASKS + 1
    )
    assert (await ledger.balance(Store.of(db)))["succeeded"] == TASKS + 1


async def succeeded(db: Database, count: int) -> bool:
    """Whether so many attempts were recorded, all as succeeded."""
    rows = await db.fetch("SELECT outcome, count(*) FROM tidemill.attempts GROUP BY outcome")
    return [tuple(row) for row in rows] == [("succeeded", count)]
