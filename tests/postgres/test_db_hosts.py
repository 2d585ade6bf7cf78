"""Several servers in the address: sessions are opened on the one that can be written to."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.support import standby as standbys
from tests.support.postgres import settings_of
from tests.support.proxy import proxy
from tidemill.db import Database, wait_for_database
from tidemill.errors import DatabaseRefused, DatabaseUnavailable
from tidemill.notify import Listener
from tidemill_cli.local.postgres import EmbeddedPostgres

PORT = "SHOW port"
NOBODY = "127.0.0.1:1"


@pytest.fixture
def standby(private_server: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    """A standby of the private server, which is the primary."""
    with standbys.standby_of(private_server) as running:
        yield running


def address(server: EmbeddedPostgres, *hosts: EmbeddedPostgres | str) -> str:
    """Return an address that names `hosts` in this order, with the login of `server`."""
    names = [h if isinstance(h, str) else f"127.0.0.1:{h.port}" for h in hosts]
    login = server.url("postgres").replace(f"127.0.0.1:{server.port}", ",".join(names))
    assert ",".join(names) in login
    return login


def database(url: str, **settings: object) -> Database:
    return Database.of(settings_of(url, **settings), application="tests")


async def test_the_writable_one_is_found_wherever_it_is_listed(
    private_server: EmbeddedPostgres, standby: EmbeddedPostgres
) -> None:
    url = address(private_server, NOBODY, standby, private_server)
    for settings in ({}, {"database_pooler": "transaction"}):
        db = database(url, **settings)
        assert await db.fetchval(PORT) == str(private_server.port)
        await db.close()
    db = database(f"{url}?target_session_attrs=any")
    assert await db.fetchval(PORT) == str(standby.port)
    await db.close()


async def test_after_a_fail_over_sessions_and_hints_come_by_the_new_primary(
    private_server: EmbeddedPostgres, standby: EmbeddedPostgres
) -> None:
    url = address(private_server, standby, private_server)
    db = database(url)
    looked = asyncio.Queue[str]()
    listener = Listener(settings_of(url), application="listens")
    listener.subscribe(looked.put_nowait)
    async with listener, asyncio.timeout(110):
        assert await looked.get() == ""
        await db.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        await asyncio.to_thread(standbys.caught_up, private_server, standby)
        await asyncio.to_thread(private_server.stop)
        with pytest.raises(DatabaseUnavailable):
            await db.execute("INSERT INTO kept VALUES (43)")
        with pytest.raises(DatabaseUnavailable, match=r"this server is read-only"):
            await db.execute("INSERT INTO kept VALUES (44)")
        await asyncio.to_thread(standbys.promote, standby)
        await wait_for_database(db, 60)
        await db.execute("INSERT INTO kept VALUES (45)")
        rows = await db.fetch("SELECT answer FROM kept ORDER BY answer")
        assert [row["answer"] for row in rows] == [42, 45]
        assert await looked.get() == ""
        await db.execute("SELECT pg_notify('tidemill', 'mail')")
        assert await looked.get() == "mail"
    await db.close()


async def test_a_session_of_a_server_that_became_read_only_is_not_used_again(
    private_server: EmbeddedPostgres, standby: EmbeddedPostgres
) -> None:
    """As a planned switch-over leaves it: the old primary answers on, and takes no writes."""
    await asyncio.to_thread(standbys.promote, standby)
    db = database(address(private_server, private_server, standby))
    sessions = 5
    async with asyncio.TaskGroup() as group:
        for _ in range(sessions):
            group.create_task(db.fetchval("SELECT pg_sleep(0.2)"))
    await asyncio.to_thread(standbys.set_read_only, private_server, to=True)
    with pytest.raises(DatabaseUnavailable, match="read-only"):
        await db.execute("CREATE TABLE mine ()")
    used = await asyncio.gather(*(db.fetchval(f"{PORT}") for _ in range(sessions)))
    assert set(used) == {str(standby.port)}
    await db.execute("CREATE TABLE mine ()")
    await db.close()


async def test_a_listener_leaves_a_server_that_became_read_only(
    private_server: EmbeddedPostgres,
    standby: EmbeddedPostgres,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tidemill.notify.CHECK_SECONDS", 0.5)
    await asyncio.to_thread(standbys.promote, standby)
    url = address(private_server, private_server, standby)
    looked = asyncio.Queue[str]()
    listener = Listener(settings_of(url), application="listens")
    listener.subscribe(looked.put_nowait)
    async with listener, asyncio.timeout(100):
        assert await looked.get() == ""
        await asyncio.to_thread(standbys.set_read_only, private_server, to=True)
        assert await looked.get() == ""
        db = database(url)
        await db.execute("SELECT pg_notify('tidemill', 'mail')")
        assert await looked.get() == "mail"
        await db.close()


async def test_when_none_will_do_each_is_named_with_its_reason(
    private_server: EmbeddedPostgres,
) -> None:
    await asyncio.to_thread(standbys.set_read_only, private_server, to=True)
    db = database(address(private_server, NOBODY, private_server))
    with pytest.raises(DatabaseUnavailable) as caught:
        await db.fetchval("SELECT 1")
    told = str(caught.value)
    assert told.startswith(f"the database cannot be used: {NOBODY}: ")
    assert told.endswith(f"; 127.0.0.1:{private_server.port}: this server is read-only")
    assert "\n" not in told
    await db.close()


async def test_a_wrong_password_is_told_at_once_when_all_refuse_it(
    private_server: EmbeddedPostgres, standby: EmbeddedPostgres
) -> None:
    url = address(private_server, standby, private_server).replace("@", "wrong@")
    db = database(url)
    with pytest.raises(DatabaseRefused, match="password authentication failed"):
        await wait_for_database(db, 60)
    await db.close()


async def test_a_server_that_swallows_everything_costs_its_time_limit_once(
    private_server: EmbeddedPostgres,
) -> None:
    async with proxy(private_server.url()) as silent:
        silent.silence(new=True)
        url = address(private_server, f"127.0.0.1:{silent.port}", private_server)
        db = database(url, database_connect_seconds=0.5)
        async with asyncio.TaskGroup() as group:
            for _ in range(2):
                group.create_task(db.fetchval("SELECT pg_sleep(0.1)"))
        tried = silent.accepted
        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(db.fetchval("SELECT pg_sleep(0.2)"))
        assert silent.accepted == tried
        await db.close()
