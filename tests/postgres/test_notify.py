"""Wake-ups: heard, throttled, and back after their connection was cut."""

import asyncio
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

import pytest

from tests.support import postgres, storage
from tests.support.postgres import Server
from tidemill.db import Database
from tidemill.notify import HINT_SECONDS, Hints, Listener
from tidemill.settings import Settings
from tidemill_cli.local.postgres import EmbeddedPostgres


class Heard(list[str]):
    """What a listener told, with a way to wait for it."""

    async def until(self, there: Callable[[list[str]], bool]) -> None:
        async def told() -> bool:
            return there(self)

        await storage.until(told)


@pytest.fixture
async def listener(settings: Settings) -> AsyncIterator[Listener]:
    made = Listener(settings, application="listens")
    async with made:
        yield made


@pytest.fixture
async def heard(listener: Listener) -> Heard:
    """Connected, and told to look at everything once for what came before."""
    told = Heard()
    listener.subscribe(told.append)
    await told.until(lambda all_of: "" in all_of or listener.listening)
    told.clear()
    return told


async def test_a_hint_is_heard(db: Database, heard: Heard) -> None:
    async with Hints(db) as hints:
        hints.hint("emails")
        await heard.until(lambda told: "emails" in told)


async def test_hints_are_throttled_with_a_leading_and_a_trailing_edge(
    db: Database, heard: Heard
) -> None:
    began = asyncio.get_running_loop().time()
    async with Hints(db) as hints:
        while asyncio.get_running_loop().time() < began + 4 * HINT_SECONDS:
            hints.hint("a")
            hints.hint("b")
            await asyncio.sleep(0)
        spent = asyncio.get_running_loop().time() - began
    hints.hint("a")
    await db.execute("SELECT pg_notify('tidemill', 'end')")
    await heard.until(lambda told: "end" in told)
    for queue in ("a", "b"):
        assert 2 <= heard.count(queue) <= spent / HINT_SECONDS + 2


async def test_what_is_due_is_sent_before_the_end(db: Database, heard: Heard) -> None:
    hints = Hints(db)
    await hints.start()
    hints.hint("first")
    await heard.until(lambda told: "first" in told)
    hints.hint("in the pause")
    await hints.stop()
    await hints.stop()
    hints.hint("too late")
    await db.execute("SELECT pg_notify('tidemill', 'end')")
    await heard.until(lambda told: "end" in told)
    assert heard == ["first", "in the pause", "end"]


async def test_a_hint_that_cannot_be_sent_is_forgotten(
    private_server: EmbeddedPostgres, caplog: pytest.LogCaptureFixture
) -> None:
    url = private_server.url("postgres")
    db = Database.of(postgres.settings_of(url), application="tests")
    private_server.stop()
    with caplog.at_level("DEBUG", logger="tidemill.notify"):
        async with Hints(db) as hints:
            hints.hint("q")
    assert "hint not sent" in caplog.text
    await db.close()


async def test_the_sql_function_notifies_at_commit(db: Database, heard: Heard) -> None:
    async with db.transaction() as session:
        await session.execute("SELECT tidemill.enqueue('t', queue => 'new')")
        await session.execute("SELECT tidemill.enqueue('t', queue => 'quiet', notify => false)")
        await session.execute("SELECT tidemill.enqueue('t', queue => 'later', delay_seconds => 9)")
    await db.execute("SELECT pg_notify('tidemill', 'end')")
    await heard.until(lambda told: "end" in told)
    assert heard == ["new", "end"]


async def test_a_cut_connection_is_replaced_and_everything_looked_at(
    server: Server, database_url: str, db: Database, listener: Listener, heard: Heard
) -> None:
    server.cut(urlsplit(database_url).path.lstrip("/"))
    await heard.until(lambda told: "" in told)
    assert listener.listening
    await db.execute("SELECT pg_notify('tidemill', 'again')")
    await heard.until(lambda told: "again" in told)


async def test_a_listener_outlives_its_server(private_server: EmbeddedPostgres) -> None:
    url = private_server.url("postgres")
    told = Heard()
    listener = Listener(postgres.settings_of(url), application="listens")
    listener.subscribe(told.append)
    async with listener:
        await told.until(lambda all_of: "" in all_of)
        private_server.crash()
        told.clear()
        private_server.start()
        await told.until(lambda all_of: "" in all_of)
    assert not listener.listening


async def test_without_a_direct_address_nothing_is_opened(settings: Settings) -> None:
    pooled = Settings.load({}, database_url=settings.database_url, database_pooler="transaction")
    async with Listener(pooled, application="listens") as listener:
        assert await listener.run_once() == 0
        assert not listener.listening
