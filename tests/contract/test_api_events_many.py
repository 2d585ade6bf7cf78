"""Streams of many clients, slow ones, ends and outages."""

import asyncio
import socket
from collections import Counter
from contextlib import AsyncExitStack

import aiohttp
import pytest

from tests.contract.conftest import running_api
from tests.support import postgres, storage
from tests.support.events import FOREVER, Event, Events, listening
from tests.support.http import ask, enqueue
from tests.support.tokens import bearer, entry, text_of
from tidemill.db import Database
from tidemill.models import NewTask, Stats
from tidemill.schema import migrate
from tidemill.settings import Settings
from tidemill.store import Store
from tidemill.store.stats import StatsStore
from tidemill_api.events import feed
from tidemill_cli.local.postgres import EmbeddedPostgres

CLIENTS = 200
QUEUES = 300


async def listeners(db: Database) -> int:
    """Return how many sessions listen for the streams of this database."""
    found: int = await db.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND application_name = 'tidemill api events'"
    )
    return found


async def metric(http: aiohttp.ClientSession, name: str) -> float:
    text = (await ask(http, "GET", "/metrics")).body.decode()
    (line,) = (each for each in text.splitlines() if each.startswith(f"{name} "))
    return float(line.rpartition(" ")[2])


async def test_however_many_watch_there_is_one_listener_and_one_reader(
    http: aiohttp.ClientSession, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: Counter[str] = Counter()
    look, read = feed.Feed._look, StatsStore.stats

    async def looking(self: feed.Feed) -> bool:
        done["looks"] += 1
        return await look(self)

    async def reading(self: StatsStore) -> Stats:
        done["reads"] += 1
        return await read(self)

    monkeypatch.setattr(feed.Feed, "_look", looking)
    monkeypatch.setattr(StatsStore, "stats", reading)
    assert await listeners(store.db) == 0
    async with AsyncExitStack() as stack:
        opened = [stack.enter_async_context(listening(http)) for _ in range(CLIENTS)]
        streams = await asyncio.gather(*opened)
        await asyncio.gather(*(each.snapshot() for each in streams))
        before = done.copy()
        await enqueue(http, queue="p")

        def told(event: Event) -> bool:
            return event.name == "queue" and event.data["queue"] == "p"

        await asyncio.gather(*(each.until(told) for each in streams))
        assert done["reads"] - before["reads"] <= done["looks"] - before["looks"] + 1
        assert await metric(http, "tidemill_api_event_streams") == CLIENTS

        async def one_listens() -> bool:
            return await listeners(store.db) == 1

        await storage.until(one_listens)

    async def none_listens() -> bool:
        return await listeners(store.db) == 0

    await storage.until(none_listens)  # and nothing is read any more
    assert await metric(http, "tidemill_api_event_streams") == 0


@pytest.mark.timeout(300)
async def test_a_client_that_does_not_read_is_cut_off_and_holds_up_nobody(
    http: aiohttp.ClientSession, store: Store
) -> None:
    tasks = [NewTask(type="t", queue=f"q{n}") for n in range(QUEUES)]
    await store.tasks.enqueue(tasks)
    url = http._base_url
    assert url is not None
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await asyncio.to_thread(slow.connect, (url.host, url.port))
        slow.sendall(b"GET /api/events HTTP/1.1\r\nHost: x\r\n\r\n")
        async with listening(http, "?queue=q0") as quick:
            await quick.snapshot()
            while not await metric(http, "tidemill_api_event_streams_dropped_total"):
                await store.tasks.enqueue(tasks)
                await quick.until(lambda e: e.name == "queue")
            assert await metric(http, "tidemill_api_event_streams") == 1
            await store.tasks.enqueue(tasks)
            await quick.until(lambda e: e.name == "queue")


async def test_streams_end_when_the_server_ends(settings: Settings) -> None:
    async with aiohttp.ClientSession() as client:
        async with running_api(settings) as http:
            assert http._base_url is not None
            response = await client.get(http._base_url / "api/events", timeout=FOREVER)
            events = Events(response)
            await events.snapshot()
        while await events.next() is not None:  # to its proper end: one that is cut off raises
            pass


async def test_a_stream_outlives_the_database_and_goes_on_with_a_snapshot(
    private_server: EmbeddedPostgres,
) -> None:
    settings = postgres.settings_of(private_server.url("postgres"))
    db = Database.of(settings, application="tests")
    await migrate(db)
    await db.close()
    async with running_api(settings) as http, listening(http) as events:
        await events.snapshot()
        await asyncio.to_thread(private_server.stop)
        await events.until(lambda e: e.name == "unavailable")
        await asyncio.to_thread(private_server.start)
        await events.snapshot()
        assert sum(e.name == "unavailable" for e in events.seen) == 1


async def test_a_token_of_some_queues_watches_no_others(database_url: str) -> None:
    tokens = text_of(entry("all", "admin"), entry("some", "read", queues=["p"]))
    settings = postgres.settings_of(database_url, tokens=tokens)
    async with running_api(settings) as http:
        admin, some = bearer("all"), bearer("some")
        made = await ask(
            http, "POST", "/api/tasks", json={"type": "t", "queue": "q"}, headers=admin
        )
        await ask(http, "POST", "/api/tasks", json={"type": "t", "queue": "p"}, headers=admin)
        task_id = made.json["id"]
        answer = await ask(http, "GET", "/api/events?queue=q", headers=some)
        assert answer.status == 403
        answer = await ask(http, "GET", f"/api/events?task={task_id}", headers=some)
        assert answer.status == 404
        http.headers.update(some)
        async with listening(http) as events:
            told = {e.data["queue"] for e in await events.snapshot() if e.name == "queue"}
        assert told == {"p"}
