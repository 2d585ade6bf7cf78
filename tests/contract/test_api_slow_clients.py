"""Clients that are slow, too many, or send too much: each is bounded, and told where it can be."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack

import pytest

from tests.contract.conftest import running_api
from tests.support import api_fleet
from tests.support.api_fleet import Running
from tests.support.http import until
from tests.support.raw_http import Reply
from tests.support.wire import Wire, get, post, wire_to
from tidemill.db import Database
from tidemill.settings import Settings
from tidemill_api import reading

MOST = 10
TASK = post("/api/tasks", {"type": "t"})


@pytest.fixture
async def impatient(settings: Settings) -> AsyncGenerator[Running]:
    """A process that waits three seconds for a request."""
    async with api_fleet.running(settings, TIDEMILL_API_KEEPALIVE_SECONDS="3") as found:
        yield found


@pytest.fixture
async def crowded(settings: Settings) -> AsyncGenerator[Running]:
    """A process for ten connections."""
    async with api_fleet.running(settings, TIDEMILL_API_CONNECTIONS=str(MOST)) as found:
        yield found


def problem_of(reply: Reply) -> str:
    assert reply.headers["Content-Type"] == "application/problem+json"
    problem = json.loads(reply.body)
    assert problem["status"] == reply.status
    assert problem["request_id"] == reply.headers["X-Request-Id"]
    return str(problem["detail"])


async def test_one_connection_too_many_is_answered_503_and_closed(crowded: Running) -> None:
    async with AsyncExitStack() as stack:

        async def wire() -> Wire:
            opened = await stack.enter_async_context(wire_to(crowded.port))
            opened.send(TASK)
            return opened

        async def holds(wires: list[Wire]) -> bool:  # until that of the readiness probe is gone
            opened = await wire()
            reply = await opened.reply()
            if reply.status == 201:
                wires.append(opened)
            return len(wires) == MOST

        held: list[Wire] = []
        await until(lambda: holds(held))
        for _ in range(100):  # more than are given time to read the answer
            refused = await (await wire()).reply()
            if refused.status == 503:
                assert problem_of(refused) == "too many connections at once"
                assert refused.headers["Retry-After"] == "1"
                assert refused.headers["Connection"] == "close"
            else:
                assert refused.status == 0
        held[0].send(TASK)
        assert (await held[0].reply()).status == 201
        await held[0].close()
        held.pop(0)
        await until(lambda: holds(held))


async def test_a_connection_without_requests_is_closed(impatient: Running) -> None:
    async with wire_to(impatient.port) as silent, wire_to(impatient.port) as idle:
        idle.send(TASK)
        assert (await idle.reply()).status == 201
        assert await silent.ended()
        assert await idle.ended()


async def test_a_head_that_comes_byte_by_byte_is_cut_off(impatient: Running) -> None:
    async with wire_to(impatient.port) as slow:
        ending = asyncio.create_task(slow.ended())
        for byte in get("/" + "x" * 4000):
            slow.send(bytes([byte]))
            await asyncio.wait((ending,), timeout=0.05)
            if ending.done():
                break
        assert ending.done()
        assert await ending


@pytest.mark.parametrize("path", ["/api/tasks", "/api/tasks/batch", "/api/queues/q/claim"])
async def test_a_body_that_comes_byte_by_byte_is_answered_408(
    settings: Settings, db: Database, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "BODY_SECONDS", 0.5)
    async with running_api(settings) as http:
        assert http._base_url is not None
        assert http._base_url.port is not None
        async with wire_to(http._base_url.port) as slow:
            answer = asyncio.create_task(slow.reply())
            for byte in post(path, [{"type": "t" * 2000}]):
                slow.send(bytes([byte]))
                if byte == ord("t"):
                    await asyncio.wait((answer,), timeout=0.05)
                if answer.done():
                    break
            reply = await answer
            assert reply.status == 408
            assert "did not arrive" in problem_of(reply)
            assert reply.headers["Connection"] == "close"
            assert await slow.ended()
    assert await db.fetchval("SELECT count(*) FROM tidemill.tasks") == 0


async def test_too_long_a_line_of_a_head_is_answered_431(crowded: Running) -> None:
    for head in (
        b"GET /?" + b"x" * 10_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"y" * 10_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"z" * 10_000 + b": 1\r\n\r\n",
    ):
        async with wire_to(crowded.port) as wire:
            wire.send(head)
            reply = await wire.reply()
            assert reply.status == 431
            assert problem_of(reply).endswith("must have at most 8190 bytes")
            assert await wire.ended()


async def test_pipelined_requests_are_answered_in_their_order(crowded: Running) -> None:
    async with wire_to(crowded.port) as wire:
        wire.send(b"".join(post("/api/tasks", {"type": f"t{n}"}) + get(f"/{n}") for n in range(50)))
        replies = [await wire.reply() for _ in range(100)]
    assert [json.loads(each.body)["type"] for each in replies[::2]] == [f"t{n}" for n in range(50)]
    assert {each.status for each in replies[1::2]} == {404}
