"""`POST /api/tasks` goes past aiohttp's application: nobody may be able to tell."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import test_utils, web

from tidemill.db import Database
from tidemill.notify import Hints
from tidemill.settings import Settings
from tidemill_api.context import Api
from tidemill_api.created import Created
from tidemill_api.middleware import answered

PLAIN = "/api/tasks"
ROUND = "/api/tasks?by=the+application"
TASK = {"type": "send", "payload": {"to": "you", "text": "ünïcode"}}
OWN = frozenset({"id", "created_at", "run_at", "first_run_at"})
LIMIT_SECONDS = 60
KIND = {"Content-Type": "application/json"}

Exchange = Callable[[bytes], Awaitable[bytes]]


@pytest.fixture
async def exchange(http: aiohttp.ClientSession) -> Exchange:
    """Send bytes on a connection of their own and return all that comes until it ends."""
    async with http.get("/healthz") as response:
        url = response.url

    async def send(data: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(url.host, url.port)
        try:
            writer.write(data)
            async with asyncio.timeout(LIMIT_SECONDS):
                return await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()

    return send


def request(*headers: str, version: str = "1.1", body: bytes = b'{"type": "send"}') -> bytes:
    head = [f"POST {PLAIN} HTTP/{version}", "Host: here", "Content-Type: application/json"]
    lines = [*head, f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def answers(http: aiohttp.ClientSession, **sent: Any) -> list[tuple[int, Any, list[str]]]:
    found: list[tuple[int, Any, list[str]]] = []
    for path in (PLAIN, ROUND):
        async with http.post(path, **sent) as response:
            body = json.loads(await response.read())
            if "Content-Encoding" not in response.headers:
                assert response.content_length == len(await response.read())
            found.append((response.status, body, [name.lower() for name in response.headers]))
    return found


MORE: list[dict[str, Any]] = [
    {},
    {"queue": "q", "payload": None},
    {"payload": [1, 2.5, -0.0, 1e16, 12345678901234567890, "\u00fc:\u2028", {"": {"a": []}}]},
    {"name": 'a "name"', "priority": "high", "max_retries": 0, "timeout_seconds": 1.5},
    {"delay_seconds": 3600, "expires_at": "2100-01-01T00:00:00+02:00", "headers": {"a": "b"}},
    {"payload": "x" * 3000},
]


@pytest.mark.parametrize(
    "more",
    MORE,
    ids=["plain", "empty", "odd", "settings", "later", "long"],
)
@pytest.mark.parametrize("accepted", ["gzip", "identity"])
async def test_a_task_is_answered_as_by_the_application(
    http: aiohttp.ClientSession, more: dict[str, Any], accepted: str
) -> None:
    headers = {"Accept-Encoding": accepted}
    short, application = await answers(http, json=TASK | more, headers=headers)
    assert short[0] == application[0] == 201
    assert short[2] == application[2]
    assert set(short[2]) >= {"date", "location", "x-request-id", "server"}
    assert list(short[1]) == list(application[1])
    assert {k: v for k, v in short[1].items() if k not in OWN} == {
        k: v for k, v in application[1].items() if k not in OWN
    }


@pytest.mark.parametrize(
    "sent",
    [
        {"json": {"type": 1, "queue": "no queue"}},
        {"data": b"{", "headers": {"Content-Type": "application/json"}},
        {"data": b"", "headers": {"Content-Type": "application/json"}},
        {"data": b"{}", "headers": {"Content-Type": "text/plain"}},
        {"data": b'{"type":"a","type":"b"}', "headers": KIND},
        {"data": b'{"type":"a","payload":NaN}', "headers": KIND},
        {"data": b'{"type":"a","payload":1e999}', "headers": KIND},
        {"data": b'{"type":"a","payload":"\\ud800"}', "headers": KIND},
        {"data": b'{"type":"\xff"}', "headers": KIND},
        {"data": b'{"type":"a","payload":' + b"[" * 99 + b"]" * 99 + b"}", "headers": KIND},
        {"data": b"[1]", "headers": KIND},
        {"data": b"{}", "headers": KIND | {"Content-Encoding": "br"}},
        {"data": b"no gzip", "headers": KIND | {"Content-Encoding": "gzip"}},
        {"json": {"type": "a"}, "headers": {"Idempotency-Key": "k" * 999}},
        {"json": {"type": "a", "idempotency_key": "b"}, "headers": {"Idempotency-Key": "k"}},
        {"json": {"type": "a", "delay_seconds": 1, "run_at": "2100-01-01T00:00:00Z"}},
        {"json": {"type": "a b", "queue": "c d", "priority": 10**9, "other": 1}},
    ],
    ids=range(17),
)
async def test_a_fault_is_answered_as_by_the_application(
    http: aiohttp.ClientSession, sent: dict[str, Any]
) -> None:
    short, application = await answers(http, **sent)
    assert 400 <= short[0] == application[0] < 500
    assert short[1].pop("request_id") != application[1].pop("request_id")
    assert short[1] == application[1]
    assert short[2] == application[2]


async def test_a_connection_carries_one_enqueue_after_the_other(exchange: Exchange) -> None:
    answer = await exchange(request() + request() + request("Connection: close"))
    assert answer.count(b"HTTP/1.1 201 Created\r\n") == 3
    assert answer.count(b"Connection: close\r\n") == 1


async def test_who_wants_the_connection_closed_gets_that(exchange: Exchange) -> None:
    answer = await exchange(request("Connection: close"))
    assert answer.startswith(b"HTTP/1.1 201 Created\r\n")
    assert b"Connection: close\r\n" in answer


async def test_http_1_0_is_answered_and_closed(exchange: Exchange) -> None:
    answer = await exchange(request(version="1.0"))
    assert answer.startswith(b"HTTP/1.0 201 Created\r\n")


async def test_who_expects_a_go_ahead_gets_it(exchange: Exchange) -> None:
    answer = await exchange(request("Expect: 100-continue", "Connection: close"))
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\n")


@pytest.mark.parametrize("draining", [False, True])
async def test_an_answer_in_one_write_ends_the_connection_where_it_must(draining: bool) -> None:
    settings = Settings.load({}, database_url="postgresql://nobody@127.0.0.1/nothing")
    db = Database.of(settings, application="test")
    api = Api.of(settings, db, Hints(db))
    api.health.draining = draining

    async def create(_: web.Request) -> web.StreamResponse:
        return Created(b"{}", "/api/tasks/7")

    async def handler(asked: web.BaseRequest) -> web.StreamResponse:
        return await answered(cast("web.Request", asked), create, api, PLAIN)

    async with test_utils.RawTestServer(handler) as server:
        url = server.make_url("/")
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(request() if draining else request() + request("Connection: close"))
        async with asyncio.timeout(LIMIT_SECONDS):
            answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    assert answer.count(b"HTTP/1.1 201 Created\r\n") == (1 if draining else 2)
    assert answer.count(b"Connection: close\r\n") == 1
