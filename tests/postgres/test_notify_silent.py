"""Connections that died without a word: half open, as after a power cut."""

import asyncio
from dataclasses import replace

import pytest

from tests.support import storage
from tests.support.proxy import proxy
from tests.support.worker import finished
from tidemill import App, NewTask
from tidemill.db import Database
from tidemill.errors import DatabaseUnavailable
from tidemill.notify import Listener
from tidemill.settings import Settings
from tidemill.store import Store
from tidemill_worker import Worker


async def test_a_silent_listening_connection_is_found_out_and_replaced(
    database_url: str, db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = 2.0
    monkeypatch.setattr("tidemill.notify.CHECK_SECONDS", check)
    heard = asyncio.Queue[str]()
    async with proxy(database_url) as network:
        behind = replace(settings, database_url=network.url(database_url))
        listener = Listener(behind, application="listens")
        listener.subscribe(heard.put_nowait)
        async with listener, asyncio.timeout(90):
            assert await heard.get() == ""
            network.silence()
            await db.execute("SELECT pg_notify('tidemill', 'lost')")
            assert await heard.get() == ""
            await storage.until(lambda: heard_of(db, heard))
    assert network.accepted >= 2  # more where this machine is slower than the check is patient


async def test_with_a_silent_listening_connection_a_worker_works_by_polling(
    database_url: str, db: Database, settings: Settings
) -> None:
    app, store = App(), Store.of(db)

    @app.task
    async def work() -> str:
        return "done"

    async with proxy(database_url) as network:
        # only what listens goes through the proxy
        split = replace(settings, database_direct_url=network.url(database_url), poll_seconds=0.2)
        async with Worker(app, settings=split):
            await storage.until(lambda: listening(db))
            network.silence(new=True)
            (made,) = await store.tasks.enqueue([NewTask(type="work")])
            assert (await finished(store, made.id)).result == "done"


async def heard_of(db: Database, heard: asyncio.Queue[str]) -> bool:
    """Whether a hint is heard; what was said before is passed over."""
    await db.execute("SELECT pg_notify('tidemill', 'mail')")
    said = [heard.get_nowait() for _ in range(heard.qsize())]
    return "mail" in said


async def listening(db: Database) -> bool:
    """Whether a session of this database listens for hints."""
    listens = (
        "SELECT count(*) > 0 FROM pg_stat_activity "
        "WHERE datname = current_database() AND query ILIKE 'LISTEN%'"
    )
    return bool(await db.fetchval(listens))


async def test_a_silent_session_of_the_pool_costs_one_statement_its_time_limit(
    database_url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill.address.CLIENT_GRACE_SECONDS", 1.0)
    async with proxy(database_url) as network:
        behind = replace(
            settings,
            database_url=network.url(database_url),
            database_statement_seconds=3.0,
            database_connect_seconds=20.0,
        )
        database = Database.of(behind, application="tests")
        for use in (database.session, database.transaction):
            assert await database.fetchval("SELECT 1") == 1
            network.silence()
            async with asyncio.timeout(60):
                with pytest.raises(DatabaseUnavailable, match="no answer in time"):
                    async with use() as session:
                        await session.fetchval("SELECT 1")
                assert await database.fetchval("SELECT 1") == 1
        await database.close()


@pytest.mark.parametrize("pooler", ["none", "transaction"])
async def test_who_gives_up_on_a_silent_session_is_not_held_up(
    database_url: str, settings: Settings, pooler: str
) -> None:
    """A heartbeat has a second or two, whatever the network does."""
    async with proxy(database_url) as network:
        behind = replace(settings, database_url=network.url(database_url), database_pooler=pooler)
        database = Database.of(behind, application="tests", pool_size=1)
        assert await database.fetchval("SELECT 1") == 1
        network.silence()
        async with asyncio.timeout(60):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await database.fetchval("SELECT 1")
            assert await database.fetchval("SELECT 1") == 1
        await database.close()
