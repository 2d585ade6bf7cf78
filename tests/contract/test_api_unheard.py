"""An enqueue whose commit nobody heard of: the answer says that nobody knows, a key settles it."""

import asyncio

from tests.contract.conftest import Start
from tests.support import postgres, storage
from tests.support.http import enqueue
from tests.support.proxy import proxy
from tidemill.db import Database

_STORED = "SELECT id::text FROM tidemill.tasks WHERE name = 'k'"


async def test_a_commit_that_nobody_heard_of_is_told_as_unknown_and_a_key_settles_it(
    start_api: Start, database_url: str, db: Database
) -> None:
    async with proxy(database_url) as between:
        http = await start_api(postgres.settings_of(between.url(database_url)))
        assert (await enqueue(http, name="before")).status == 201
        async with db.transaction() as held:
            await held.execute("LOCK TABLE tidemill.ready IN ACCESS EXCLUSIVE MODE")
            asked = asyncio.create_task(enqueue(http, name="k", idempotency_key="k"))
            await storage.until_blocked(db)
            between.cut()
            answer = await asked
        assert answer.status == 503
        assert answer.json["type"] == "urn:tidemill:problem:outcome-unknown"
        assert "may be stored, or not" in answer.json["detail"]
        await storage.until(lambda: db.fetchval(_STORED))  # for Postgres went on, and committed
        again = await enqueue(http, name="k", idempotency_key="k")
    assert (again.status, again.json["id"]) == (200, await db.fetchval(_STORED))
    assert await storage.count(db, "tasks") == 2


async def test_what_postgres_itself_refused_is_told_as_not_stored(
    start_api: Start, database_url: str, db: Database
) -> None:
    http = await start_api(postgres.settings_of(database_url, database_statement_seconds=2.0))
    async with db.transaction() as held:
        await held.execute("LOCK TABLE tidemill.ready IN ACCESS EXCLUSIVE MODE")
        answer = await enqueue(http)
    assert answer.status == 503
    assert answer.json["type"] == "urn:tidemill:problem:database-unavailable"
    assert "is stored" in answer.json["detail"]
    assert await storage.count(db, "tasks") == 0
