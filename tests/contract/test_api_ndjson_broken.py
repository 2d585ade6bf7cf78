"""NDJSON batches that do not come to a good end: nothing of them is stored, nobody is held up."""

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.contract.conftest import Start
from tests.support import postgres, storage
from tests.support.http import Answer, ask, enqueue
from tests.support.raw_http import exchange
from tidemill.db import Database
from tidemill.store import Store
from tidemill_api import reading

PATH = "/api/tasks/batch"
NDJSON = "application/x-ndjson"
HEADERS = {"Content-Type": NDJSON}
PARTS = 2500
"""Tasks: more than go in one statement."""


def lines(*tasks: Any) -> bytes:
    return b"".join(json.dumps(task).encode() + b"\n" for task in tasks)


def head(length: int | None, *more: str) -> bytes:
    sized = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    fields = (f"POST {PATH} HTTP/1.1", "Host: x", f"Content-Type: {NDJSON}", sized, *more, "", "")
    return "\r\n".join(fields).encode()


async def send(http: aiohttp.ClientSession, data: bytes, encoding: str = "identity") -> Answer:
    headers = {**HEADERS, "Content-Encoding": encoding}
    return await ask(http, "POST", PATH, data=data, headers=headers)


async def refusals(http: aiohttp.ClientSession, status: int) -> int:
    """Return how many batches were answered with `status`, heard or not."""
    name = "tidemill_api_request_seconds_count"
    labels = f'{{method="POST",route="{PATH}",status="{status}"}}'
    text = (await ask(http, "GET", "/metrics")).body.decode()
    found = [line for line in text.splitlines() if line.startswith(name + labels)]
    return int(float(found[0].split()[-1])) if found else 0


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_client_that_goes_away_in_the_middle_has_stored_nothing(
    http: aiohttp.ClientSession, db: Database, *, chunked: bool
) -> None:
    data = lines(*({"type": "t", "payload": n} for n in range(PARTS)))
    if chunked:
        sent = head(None) + b"%x\r\n" % len(data) + data + b"\r\n"
    else:
        sent = head(len(data) + 1) + data
    url = http._base_url
    assert url is not None
    _, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(sent)
    await writer.drain()
    writer.close()
    await writer.wait_closed()

    async def answered() -> bool:
        return await refusals(http, 400) == 1

    await storage.until(answered)
    assert await storage.count(db, "tasks") == 0


async def test_a_body_that_stalls_is_given_up_and_stores_nothing(
    http: aiohttp.ClientSession, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "BODY_SECONDS", 1.0)
    monkeypatch.setattr(reading, "LEAST_BYTES_A_SECOND", 1e9)
    data = lines(*({"type": "t", "payload": n} for n in range(PARTS)))
    [reply] = await exchange(http, head(len(data) + 1) + data)
    assert reply.status == 408
    assert reply.headers["Connection"] == "close"
    assert await storage.count(db, "tasks") == 0


async def test_a_client_that_sends_slowly_holds_nobody_up(
    http: aiohttp.ClientSession, db: Database
) -> None:
    """Its key is still anybody's, for no transaction is open before its last byte has come."""
    first, rest = asyncio.Event(), asyncio.Event()
    keyed = {"type": "t", "idempotency_key": "k"}

    async def slowly() -> AsyncIterator[bytes]:
        yield lines(keyed, *[{"type": "t"}] * PARTS)
        first.set()
        await rest.wait()
        yield lines({"type": "t"})

    sending = asyncio.create_task(ask(http, "POST", PATH, data=slowly(), headers=HEADERS))
    await first.wait()
    assert (await enqueue(http, idempotency_key="k")).status == 201
    rest.set()
    answer = await sending
    assert answer.status == 201
    assert [answer.json["tasks"][n]["created"] for n in (0, 1)] == [False, True]
    assert await storage.count(db, "tasks") == PARTS + 2


async def test_a_database_that_goes_away_between_two_parts_has_stored_nothing(
    http: aiohttp.ClientSession, db: Database
) -> None:
    tasks: list[dict[str, Any]] = [{"type": "t"} for _ in range(PARTS)]
    tasks[-1] = {"type": "t", "idempotency_key": "k"}
    async with db.transaction() as session:
        await session.fetch("SELECT tidemill.enqueue('t', idempotency_key => 'k')")
        sending = asyncio.create_task(send(http, lines(*tasks)))

        async def cut() -> bool:
            """Cut sessions that wait for a lock: at its last part, the others are inserted."""
            await db.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0"
            )
            return sending.done()

        await storage.until(cut)
        answer = await sending
    assert answer.status == 503
    assert answer.json["type"] == "urn:tidemill:problem:database-unavailable"
    assert await storage.count(db, "tasks") == 1


async def test_too_many_bytes_are_refused_before_they_are_read(
    http: aiohttp.ClientSession,
) -> None:
    too_long = reading.MAX_BATCH_BYTES + 1
    for more in ((), ("Expect: 100-continue",), ("Content-Encoding: gzip",)):
        [reply] = await exchange(http, head(too_long, *more))
        assert (reply.status, reply.headers["Connection"]) == (413, "close"), more
        assert json.loads(reply.body)["faults"][0]["field"] == "body"


async def test_who_waits_to_be_asked_for_the_body_is_asked(http: aiohttp.ClientSession) -> None:
    data = lines({"type": "t"})
    url = http._base_url
    assert url is not None
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(head(len(data), "Expect: 100-continue"))
    assert await reader.readline() == b"HTTP/1.1 100 Continue\r\n"
    writer.write(data)
    assert await reader.readline() == b"\r\n"
    assert (await reader.readline()).startswith(b"HTTP/1.1 201 ")
    writer.close()
    await writer.wait_closed()


async def test_more_bytes_or_tasks_than_a_batch_may_have(
    start_api: Start, database_url: str, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_BATCH_BYTES", 200_000)
    settings = postgres.settings_of(database_url, max_payload_bytes=10_000, max_batch_tasks=PARTS)
    http = await start_api(settings)

    async def pieces(data: bytes) -> AsyncIterator[bytes]:
        yield data

    large = lines(*[{"type": "t", "payload": "x" * 1000}] * 250)
    answer = await ask(http, "POST", PATH, data=pieces(large), headers=HEADERS)
    assert (answer.status, answer.fields) == (413, ["body"])
    answer = await send(http, lines(*[{"type": "t"}] * (PARTS + 1)))
    assert (answer.status, answer.fields) == (400, ["tasks"])
    answer = await send(http, lines({"type": "t"}, {"type": "t", "payload": "x" * 9_999}))
    assert (answer.status, answer.fields) == (413, ["tasks[1].payload"])
    assert answer.json["detail"].endswith("(line 2)")
    answer = await send(http, lines({"type": "t"}) + b'"' + b"x" * 80_000)
    assert (answer.status, answer.fields) == (413, ["tasks[1]"])
    assert await storage.count(db, "tasks") == 0


async def test_compressed_lines_that_are_cut_or_unfold_to_too_much_store_nothing(
    http: aiohttp.ClientSession, db: Database, store: Store
) -> None:
    """A stream that was cut between two lines looks like a batch with fewer tasks."""
    first, second = lines({"type": "t"}), lines({"type": "u"})
    packer = zlib.compressobj(wbits=31)
    cut = packer.compress(first) + packer.flush(zlib.Z_FULL_FLUSH)
    assert zlib.decompressobj(31).decompress(cut) == first
    for data in (cut, gzip.compress(first)[:-1], b"\x1f\x8b", b"no gzip"):
        answer = await send(http, data, "gzip")
        assert (answer.status, answer.fields) == (400, ["body"])
    packer = zlib.compressobj(9, wbits=31)
    blanks = b"".join(packer.compress(b"\n" * 2**20) for _ in range(70)) + packer.flush()
    assert len(blanks) < 2**20
    answer = await send(http, blanks, "gzip")
    assert (answer.status, answer.fields) == (413, ["body"])
    assert await storage.count(db, "tasks") == 0
    answer = await send(http, gzip.compress(first) + gzip.compress(second), "gzip")
    assert (answer.status, answer.json["created"]) == (201, 2)
    assert await storage.count(store.db, "tasks") == 2


async def test_other_encodings_and_types_are_refused_by_name(http: aiohttp.ClientSession) -> None:
    answer = await send(http, b"\x00", "br")
    assert (answer.status, answer.fields) == (415, ["Content-Encoding"])
    assert "deflate, gzip, identity" in answer.json["detail"]
    headers = {"Content-Type": "text/plain"}
    answer = await ask(http, "POST", PATH, data=lines({"type": "t"}), headers=headers)
    assert (answer.status, answer.fields) == (415, ["Content-Type"])
    assert "application/x-ndjson" in answer.json["detail"]
