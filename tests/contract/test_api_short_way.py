"""`POST /api/tasks` goes past aiohttp's application: nobody may be able to tell."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import test_utils, web

from tidemill_api.whole import Whole

PLAIN = "/api/tasks"
ROUND = "/api/tasks?by=the+application"
TASK = {"type": "send", "payload": {"to": "you", "text": "ünïcode"}}
OWN = frozenset({"id", "created_at", "run_at"})
LIMIT_SECONDS = 60

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


async def answers(http: aiohttp.ClientSession, **sent: Any) -> list[tuple[int, Any, set[str]]]:
    found: list[tuple[int, Any, set[str]]] = []
    for path in (PLAIN, ROUND):
        async with http.post(path, **sent) as response:
            body = json.loads(await response.read())
            assert response.content_length == len(await response.read())
            found.append((response.status, body, {name.lower() for name in response.headers}))
    return found


async def test_a_task_is_answered_as_by_the_application(http: aiohttp.ClientSession) -> None:
    short, application = await answers(http, json=TASK)
    assert short[0] == application[0] == 201
    assert short[2] == application[2] >= {"date", "location", "x-request-id", "server"}
    assert short[1].keys() == application[1].keys()
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
    ],
    ids=["invalid", "no JSON", "empty", "another type"],
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


@pytest.mark.parametrize("closes", [False, True])
async def test_an_answer_in_one_write_ends_the_connection_where_it_must(closes: bool) -> None:
    async def handler(_: web.BaseRequest) -> web.StreamResponse:
        response = Whole(body=b"{}", status=201)
        if closes:
            response.force_close()
        return response

    async with test_utils.RawTestServer(handler) as server:
        url = server.make_url("/")
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(request() if closes else request() + request("Connection: close"))
        async with asyncio.timeout(LIMIT_SECONDS):
            answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    assert answer.count(b"HTTP/1.1 201 Created\r\n") == (1 if closes else 2)
    assert answer.count(b"Connection: close\r\n") == 1
