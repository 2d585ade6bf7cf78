"""What streams may cost: sessions, watched queues, storms of reconnects."""

import asyncio
from contextlib import AsyncExitStack

import aiohttp
import pytest

from tests.contract.conftest import Start
from tests.support import storage
from tests.support.events import Event, listening
from tests.support.http import ask, enqueue
from tidemill.db import Database
from tidemill.settings import Settings
from tidemill_api.events import feed

CLIENTS = 50


async def sessions(db: Database, application: str) -> int:
    """Return how many sessions of this database an application has."""
    found: int = await db.fetchval(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name = $1",
        application,
    )
    return found


async def test_a_storm_of_reconnects_needs_no_more_sessions(
    start_api: Start, settings: Settings, db: Database
) -> None:
    """50 clients come, go and come again: one listens for all, the pool reads for all."""
    http = await start_api(settings)
    await enqueue(http, queue="p")
    for _ in range(3):
        async with AsyncExitStack() as stack:
            opened = [stack.enter_async_context(listening(http)) for _ in range(CLIENTS)]
            streams = await asyncio.gather(*opened)
            await asyncio.gather(*(each.snapshot() for each in streams))

            async def bounded() -> bool:
                pool = await sessions(db, "tidemill api")
                return pool <= settings.database_pool_size and await one_listens(db)

            await storage.until(bounded)
            await enqueue(http, queue="p")

            def told(event: Event) -> bool:
                return event.name == "queue" and event.data["queue"] == "p"

            await asyncio.gather(*(each.until(told) for each in streams))


async def one_listens(db: Database) -> bool:
    return await sessions(db, "tidemill api events") == 1


async def test_queues_past_the_bound_are_not_watched_and_others_still_are(
    http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "MOST_WATCHED", 2)
    async with listening(http, "?queue=a&queue=b") as events:
        await events.snapshot()
        answer = await ask(http, "GET", "/api/events?queue=c")
        assert (answer.status, "Retry-After" in answer.headers) == (503, True)
        for query in ("?queue=b", ""):
            async with listening(http, query) as other:
                await other.snapshot()


async def test_a_stream_is_not_compressed_and_says_ping(
    http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill_api.events.stream.HEARTBEAT_SECONDS", 0.05)
    url = http._base_url
    assert url is not None
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(b"GET /api/events HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n")
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    assert b"content-encoding" not in head
    assert b"x-accel-buffering: no" in head
    await reader.readuntil(b"\n: ping\n\n")
    writer.close()
    await writer.wait_closed()


async def test_what_was_told_is_counted(http: aiohttp.ClientSession) -> None:
    await enqueue(http)
    async with listening(http) as events:
        told = await events.snapshot()
        text = (await ask(http, "GET", "/metrics")).body.decode()
    counted = next(
        float(line.split()[-1])
        for line in text.splitlines()
        if line.startswith("tidemill_api_events_sent_total ")
    )
    assert counted > sum(each.name == "queue" for each in told) > 0  # and its end
