"""The process: start, refusal to start, stop that finishes what was accepted."""

import asyncio
import dataclasses
import json
import socket
from typing import Any

import aiohttp
import pytest

from tests.contract.conftest import running_api
from tests.support import postgres
from tests.support.http import ask, enqueue, until
from tidemill.db import Database
from tidemill.errors import ConfigurationError, DatabaseUnavailable, SchemaMismatch
from tidemill.settings import Settings
from tidemill_api.server import serve


async def test_a_port_in_use_is_one_clear_line(settings: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        settings = dataclasses.replace(settings, api_port=port)
        with pytest.raises(ConfigurationError) as caught:
            await serve(settings, stop=asyncio.Event())
    assert str(caught.value) == f"TIDEMILL_API_PORT: 127.0.0.1:{port} is in use by another process"


async def test_an_address_that_is_not_ours_is_named(settings: Settings) -> None:
    settings = dataclasses.replace(settings, api_host="192.0.2.1", api_port=0)
    with pytest.raises(
        ConfigurationError, match=r"TIDEMILL_API_HOST: cannot listen on 192\.0\.2\.1"
    ):
        await serve(settings, stop=asyncio.Event())


async def test_no_database_address_is_named() -> None:
    with pytest.raises(ConfigurationError, match="TIDEMILL_DATABASE_URL"):
        await serve(Settings(), stop=asyncio.Event())


async def test_a_database_that_does_not_come_up() -> None:
    settings = Settings(
        database_url="postgresql://nobody:x@127.0.0.1:1/none", database_wait_seconds=0.3
    )
    with pytest.raises(DatabaseUnavailable):
        await serve(settings, stop=asyncio.Event())


async def test_a_database_without_the_schema(empty_database_url: str) -> None:
    settings = dataclasses.replace(
        postgres.settings_of(empty_database_url), database_wait_seconds=0.3
    )
    with pytest.raises(SchemaMismatch, match="tidemill migrate"):
        await serve(settings, stop=asyncio.Event())


async def test_stop_ends_the_wait_for_a_database() -> None:
    settings = Settings(
        database_url="postgresql://nobody:x@127.0.0.1:1/none", database_wait_seconds=600
    )
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(settings, stop=stop))
    await asyncio.sleep(0)
    stop.set()
    await asyncio.wait_for(serving, 60)


class Sent:
    """Counts the request bodies that a client has sent."""

    def __init__(self) -> None:
        self.count = 0
        self.trace = aiohttp.TraceConfig()
        self.trace.on_request_chunk_sent.append(self._sent)

    async def _sent(self, *_: object) -> None:
        self.count += 1


async def test_stop_answers_what_is_in_hand_and_loses_nothing(
    settings: Settings, db: Database
) -> None:
    stop, sent = asyncio.Event(), Sent()
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    settings = dataclasses.replace(settings, api_port=0)
    serving = asyncio.create_task(serve(settings, stop=stop, ready=port.set_result))
    address = f"http://127.0.0.1:{await port}"
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        address, connector=connector, trace_configs=[sent.trace]
    ) as http:
        async with db.transaction() as held:
            # inserts wait for this lock, so that all requests are in hand when the stop comes
            await held.execute("LOCK TABLE tidemill.ready IN ACCESS EXCLUSIVE MODE")
            calls = [asyncio.create_task(enqueue(http)) for _ in range(50)]
            await until(lambda: all_in_hand(sent, http))
            stop.set()
            await until(lambda: refuses(port.result()))
            assert not serving.done()
        answers = await asyncio.gather(*calls)
    await serving
    assert {answer.status for answer in answers} == {201}
    assert await db.fetchval("SELECT count(*) FROM tidemill.tasks") == 50


async def all_in_hand(sent: Sent, http: aiohttp.ClientSession) -> bool:
    # what was sent before this request is read before it, as both ends share one event loop
    enough = sent.count >= 50
    await ask(http, "GET", "/healthz")
    return enough


async def refuses(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return True
    writer.close()
    return False


async def test_nothing_is_left_behind(settings: Settings, server: postgres.Server) -> None:
    before = asyncio.all_tasks()
    async with running_api(settings) as http:
        assert (await enqueue(http)).status == 201
    assert asyncio.all_tasks() == before
    name = settings.database_url.rpartition("/")[2]

    async def no_session_is_left() -> bool:  # a closed one may take a moment to leave the list
        return server.sessions(name) == 0

    await until(no_session_is_left)


async def raw_exchange(port: int, data: bytes, *, leave: bool = False) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    if leave:
        writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"BREW /api/stats HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nBad Header: x\r\n\r\n",
        b"POST /api/tasks HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_a_problem_and_fills_no_log(
    settings: Settings, caplog: pytest.LogCaptureFixture, data: bytes
) -> None:
    async with running_api(settings) as http:
        port = http._base_url.port if http._base_url else 0
        assert port
        head, _, body = (await raw_exchange(port, data)).partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))
    assert b"application/problem+json" in head
    assert b"aiohttp" not in head
    assert json.loads(body)["type"] == "urn:tidemill:problem:bad-http"
    assert not [record for record in caplog.records if record.exc_info]


async def test_a_client_that_leaves_in_the_middle_harms_nobody(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    async with running_api(settings) as http:
        port = http._base_url.port if http._base_url else 0
        assert port
        head = b"POST /api/tasks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        body: Any = json.dumps({"type": "t"}).encode()
        await raw_exchange(port, head + b"Content-Length: 100\r\n\r\n" + body, leave=True)
        await raw_exchange(port, b"POST /api/tasks HTTP/1.1\r\nHo", leave=True)
        await raw_exchange(port, b"\x00\xff\x00\r\n\r\n", leave=True)
        assert (await enqueue(http)).status == 201
    assert not [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
