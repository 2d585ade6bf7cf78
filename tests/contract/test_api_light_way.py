"""A plain enqueue is taken before aiohttp's task wakes: nobody may be able to tell."""

import asyncio
import dataclasses
import gzip
import json
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from tests.contract.conftest import Start
from tests.support import storage
from tests.support.raw_http import CLOSED, Reply, exchange, reply_of
from tests.support.tokens import bearer, entry, text_of
from tidemill.db import Database
from tidemill.settings import Settings
from tidemill_api.light import LightProtocol

LIMIT_SECONDS = 90
TIMES = frozenset({"id", "created_at", "run_at", "first_run_at", "request_id"})
EACH_TIME = frozenset({"Date", "Location", "X-Request-Id"})
AGAIN = random.Random(10)


class Taken:
    """Counts the requests that were answered lightly."""

    def __init__(self) -> None:
        self.count = 0


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Taken:
    found, write = Taken(), LightProtocol._write  # pyright: ignore[reportPrivateUsage]  # to count

    def counted(self: LightProtocol, *args: object) -> None:
        found.count += 1
        write(self, *args)  # type: ignore[arg-type]  # what it was called with

    monkeypatch.setattr(LightProtocol, "_write", counted)
    return found


def post(body: bytes, *headers: str, path: str = "/api/tasks", version: str = "1.1") -> bytes:
    head = [f"POST {path} HTTP/{version}", "Host: here", "Content-Type: application/json"]
    lines = [*head, f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


PLAIN = post(b'{"type":"send","payload":{"to":"you"}}')


def alike(reply: Reply) -> tuple[int, dict[str, str], object]:
    """Return an answer without what is another one each time."""
    zipped = reply.headers.get("Content-Encoding") == "gzip"
    body: Any = json.loads(gzip.decompress(reply.body) if zipped else reply.body)
    body = {name: body[name] for name in body if name not in TIMES}
    headers = {name: value for name, value in reply.headers.items() if name not in EACH_TIME}
    headers.pop("Content-Length", None)  # times are of several lengths
    return reply.status, headers, body


@asynccontextmanager
async def connection(
    http: aiohttp.ClientSession,
) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open one of our own to the client's server."""
    async with http.get("/healthz") as response:
        url = response.url
    reader, writer = await asyncio.open_connection(url.host, url.port)
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            yield reader, writer
    finally:
        writer.close()
        await writer.wait_closed()


async def warm(http: aiohttp.ClientSession) -> None:
    """Have the types read, which the ordinary way does."""
    async with http.post("/api/tasks", json={"type": "send"}) as response:
        assert response.status == 201


BODIES = (
    b'{"type":"send"}',
    b'{"type":"send","payload":[1,2.5,{"a":null}]}',
    b'{"type":"send","queue":"mails","payload":"\xc3\xbc"}',
    b'{"type":"send","payload":"' + b"x" * 900 + b'"}',
    b'{"type":"send","payload":"' + b"x" * 3000 + b'"}',
    b'{"type":"send","payload":"' + b"x" * 200_000 + b'"}',
    b'{"type":"send","priority":"high"}',
    b'{"type":"a b"}',
    b'{"type":"send","payload":1e999}',
    b'{"type":"send","type":"b"}',
    b'{"type":"send","payload":"\\u0000"}',
    b"[]",
    b"{",
    b"",
    b"\xff",
)
HEADERS = (
    (),
    ("Accept-Encoding: gzip",),
    ("X-Request-Id: mine",),
    ("X-Request-Id: no good",),
    ("Idempotency-Key: " + "k" * 300,),
    ("Content-Encoding: br",),
    ("Connection: close",),
    ("traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",),
    ("traceparent: nonsense",),
    ("Content-Type: text/plain",),
)


@pytest.mark.parametrize("headers", HEADERS, ids=range(len(HEADERS)))
async def test_what_may_go_lightly_is_answered_as_the_ordinary_way_does(
    http: aiohttp.ClientSession, headers: tuple[str, ...]
) -> None:
    await warm(http)
    for body in BODIES:
        [light] = await exchange(http, post(body, *headers))
        [ordinary] = await exchange(http, post(body, *headers, path="/api/tasks?"))
        assert alike(light) == alike(ordinary), body


async def test_plain_requests_go_lightly_and_others_do_not(
    http: aiohttp.ClientSession, taken: Taken
) -> None:
    await warm(http)
    while not taken.count:  # whoever finds the types too old goes the ordinary way
        [reply] = await exchange(http, PLAIN)
        assert reply.status == 201
    before = taken.count
    for other in (
        post(b'{"type":"send"}', path="/api/tasks?"),
        post(b'{"type":"send","name":"x"}'),
        post(b'{"type":"send"}', "Idempotency-Key: k"),
        post(b'{"type":"send"}', "Connection: close"),
        post(b'{"type":"send"}', version="1.0"),
        post(b'{"type":1}'),
    ):
        await exchange(http, other)
    assert taken.count == before


async def test_a_large_body_in_one_piece_is_answered_and_so_is_what_follows(
    http: aiohttp.ClientSession,
) -> None:
    await warm(http)
    large = post(b'{"type":"send","payload":"' + b"x" * 250_000 + b'"}')
    async with connection(http) as (reader, writer):
        for sent in (PLAIN, large, PLAIN, large + PLAIN, PLAIN):
            writer.write(sent)
            for _ in range(sent.count(b"POST")):
                assert (await reply_of(reader)).status == 201


async def test_bytes_in_any_pieces_are_the_same_request(
    http: aiohttp.ClientSession, db: Database
) -> None:
    await warm(http)
    async with connection(http) as (reader, writer):
        for _ in range(60):
            cuts = sorted(AGAIN.sample(range(1, len(PLAIN)), AGAIN.randint(0, 3)))
            for start, end in zip([0, *cuts], [*cuts, len(PLAIN)], strict=True):
                writer.write(PLAIN[start:end])
                await writer.drain()
                await asyncio.sleep(0)
            reply = await reply_of(reader)
            assert reply.status == 201
    assert await db.fetchval("SELECT count(*) FROM tidemill.tasks") == 61


async def test_what_is_sent_ahead_is_answered_in_order(http: aiohttp.ClientSession) -> None:
    await warm(http)
    asked: list[str] = []
    async with connection(http) as (reader, writer):
        for number in range(200):
            asked.append(f"r{number}")
            body = b'{"type":"send"}' if AGAIN.random() < 0.7 else b'{"type":1}'
            writer.write(post(body, f"X-Request-Id: r{number}"))
            if AGAIN.random() < 0.3:
                await asyncio.sleep(0.001)
        told = [(await reply_of(reader)).headers["X-Request-Id"] for _ in asked]
    assert told == asked


async def test_a_refusal_by_the_database_is_told_as_the_ordinary_way_tells_it(
    http: aiohttp.ClientSession,
) -> None:
    async with http.put("/api/queues/mails", json={"max_depth": 1}) as response:
        assert response.status < 300
    full = b'{"type":"send","queue":"mails"}'
    [first] = await exchange(http, post(full))
    assert first.status == 201
    [light] = await exchange(http, post(full))
    [ordinary] = await exchange(http, post(full, path="/api/tasks?"))
    assert light.status == 429
    assert alike(light) == alike(ordinary)


async def test_a_client_that_leaves_early_has_its_task_stored(
    http: aiohttp.ClientSession, db: Database
) -> None:
    await warm(http)
    for _ in range(20):
        async with connection(http) as (_, writer):
            writer.write(PLAIN)
            await writer.drain()
    count = "SELECT count(*) = 21 FROM tidemill.tasks"
    await storage.until(lambda: db.fetchval(count))
    async with http.get("/readyz") as response:
        assert response.status == 200


async def test_tokens_count_and_refuse_on_both_ways(start_api: Start, settings: Settings) -> None:
    text = text_of(
        entry("ci", "enqueue", token="a" * 40),
        entry("reader", "read", token="b" * 40),
        entry("few", "enqueue", token="c" * 40, rate="2/m"),
        entry("mails", "enqueue", token="d" * 40, queues=["mails"]),
    )
    http = await start_api(dataclasses.replace(settings, tokens=text))
    for _ in range(5):
        for token, allowed in (("a", True), ("b", False), ("d", False), ("e", False)):
            header = f"Authorization: {bearer(token * 40)['Authorization']}"
            [light] = await exchange(http, post(b'{"type":"send"}', header))
            [ordinary] = await exchange(http, post(b'{"type":"send"}', header, path="/api/tasks?"))
            assert (light.status == 201) is allowed
            assert alike(light) == alike(ordinary)
    header = f"Authorization: {bearer('c' * 40)['Authorization']}"
    told = [(await exchange(http, post(b'{"type":"send"}', header)))[0].status for _ in range(3)]
    assert told == [201, 201, 429]


async def test_a_connection_that_is_closed_behind_a_request_is_answered_first(
    http: aiohttp.ClientSession,
) -> None:
    await warm(http)
    replies = await exchange(http, PLAIN + post(b'{"type":"send"}', "Connection: close"), 3)
    assert [each.status for each in replies] == [201, 201, 0]
    assert replies[2] is CLOSED
