"""Compressed answers and bodies: who gets them, what they weigh, what a bomb comes to."""

import asyncio
import gzip
import json
import zlib
from typing import Any

import aiohttp
import pytest

from tests.contract.conftest import Start
from tests.support import postgres
from tests.support.http import Answer, ask, enqueue
from tidemill_api.compression import accepts

MIB = 1024 * 1024


@pytest.fixture
async def plain(http: aiohttp.ClientSession) -> Any:
    """A client that leaves bodies as they come and names no encoding of its own."""
    async with aiohttp.ClientSession(
        http._base_url, auto_decompress=False, skip_auto_headers=("Accept-Encoding",)
    ) as session:
        yield session


async def read(client: aiohttp.ClientSession, path: str, accepted: str | None = None) -> Answer:
    headers = {} if accepted is None else {"Accept-Encoding": accepted}
    async with client.get(path, headers=headers) as response:
        titled = {name.title(): value for name, value in response.headers.items()}
        return Answer(response.status, titled, await response.read())


async def test_large_answers_are_compressed_for_those_who_accept_it(
    plain: aiohttp.ClientSession,
) -> None:
    as_is = await read(plain, "/openapi.json")
    packed = await read(plain, "/openapi.json", "br, gzip;q=0.8")
    assert "Content-Encoding" not in as_is.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.body) == as_is.body
    assert len(packed.body) < len(as_is.body) / 3
    assert int(packed.headers["Content-Length"]) == len(packed.body)
    assert as_is.headers["Vary"] == packed.headers["Vary"] == "Accept-Encoding"
    refused = await read(plain, "/openapi.json", "gzip;q=0, *")
    assert refused.body == as_is.body


async def test_small_answers_stay_as_they_are(plain: aiohttp.ClientSession) -> None:
    answer = await read(plain, "/healthz", "gzip")
    assert "Content-Encoding" not in answer.headers
    assert answer.json == {"status": "ok"}


async def test_the_answer_to_an_enqueue_comes_compressed_too(plain: aiohttp.ClientSession) -> None:
    headers = {"Accept-Encoding": "gzip"}
    task = {"type": "t", "idempotency_key": "k", "payload": "x" * 5000}
    for status in (201, 200):
        async with plain.post("/api/tasks", json=task, headers=headers) as response:
            data = await response.read()
            assert response.status == status
            if response.headers.get("Content-Encoding") == "gzip":
                data = gzip.decompress(data)
            assert json.loads(data)["type"] == "t"


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        ("gzip", True),
        ("GZIP ; q=1", True),
        ("deflate, gzip;q=0.1", True),
        ("*", True),
        ("gzip;q=0", False),
        ("gzip;q=0.0, *;q=1", False),
        ("*;q=0", False),
        ("", False),
        ("identity", False),
        ("gzip;q=much", False),
    ],
)
def test_what_a_client_says_of_gzip_is_heeded(given: str, *, allowed: bool) -> None:
    assert accepts(given) is allowed


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_compressed_body_is_read(http: aiohttp.ClientSession, encoding: str) -> None:
    data = json.dumps([{"type": "t", "payload": "x" * 1000}] * 50).encode()
    packed = gzip.compress(data) if encoding == "gzip" else zlib.compress(data)
    headers = {"Content-Encoding": encoding, "Content-Type": "application/json"}
    answer = await ask(http, "POST", "/api/tasks/batch", data=packed, headers=headers)
    assert (answer.status, answer.json["created"]) == (201, 50)


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, gzip"])
async def test_other_encodings_are_refused_by_name(
    http: aiohttp.ClientSession, encoding: str
) -> None:
    headers = {"Content-Encoding": encoding, "Content-Type": "application/json"}
    answer = await ask(http, "POST", "/api/tasks", data=b"\x01\x02\x03\x04", headers=headers)
    assert (answer.status, answer.fields) == (415, ["Content-Encoding"])


async def test_what_is_no_gzip_is_told(http: aiohttp.ClientSession) -> None:
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    answer = await ask(http, "POST", "/api/tasks", data=b"\x00" * 64, headers=headers)
    assert (answer.status, answer.fields) == (400, ["body"])


async def test_a_bomb_is_refused_before_it_unfolds(start_api: Start, database_url: str) -> None:
    http = await start_api(postgres.settings_of(database_url, max_payload_bytes=100_000))
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(bytes(MIB)) for _ in range(200)) + packer.flush()
    assert len(bomb) < MIB
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    answer = await ask(http, "POST", "/api/tasks", data=bomb, headers=headers)
    assert (answer.status, answer.fields) == (413, ["body"])
    assert (await asyncio.gather(enqueue(http)))[0].status == 201
