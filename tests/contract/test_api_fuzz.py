"""Malformed bodies, fields and headers from a fixed seed: always an answer, never a 5xx."""

import asyncio
import json
import random
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from tests.support.http import Answer, ask, enqueue
from tidemill.db import Database

SEED = 20_250_731
REQUESTS = 1500
AT_ONCE = 16

VALID: dict[str, Any] = {
    "type": "send_email",
    "payload": {"to": "a@b.c", "n": [1, 2.5, None, True], "deep": {"a": {"b": ["é"]}}},
    "queue": "emails",
    "name": "one",
    "priority": "high",
    "delay_seconds": 1.5,
    "max_retries": 3,
    "timeout_seconds": 30,
    "retry": {"policy": "list", "delays_seconds": [1, 2]},
    "idempotency_key": "k",
    "idempotency_ttl_seconds": 60,
    "expires_at": "2190-01-01T00:00:00Z",
    "headers": {"traceparent": "00-x"},
}
ODD: list[Any] = [
    None, True, False, 0, -1, 1, 1.5, -0.0, 1e308, 5e-324, 2**31, 2**63, 2**64, 10**300, -(10**18),
    "", " ", "x", "x" * 5000, "\0", "\ud800", "\udc00\ud800", "é\u200f\U0001f40b", "'; DROP",
    "2030-01-01T00:00:00Z", "2030-13-45T99:99:99Z", "2030-W01-1T00:00+00:00", "0000-00-00T00:00Z",
    "2199-12-31T23:59:59-23:59", "2000-01-01T00:00:00+23:59", "1e400", "NaN", "list", "exponential",
    [], {}, [[]], [{}], {"": ""}, {"a": {"a": {"a": 1}}}, [1] * 200, {"__proto__": 1},
    {"$ref": "#"},
]  # fmt: skip
BYTES = [
    b"\x00", b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\\u0000", b"\\ud800",
    b'"',
    b"\\", b"{", b"}", b"[", b"]", b",", b":", b"NaN", b"-Infinity", b"1e999", b"-", b"0x1", b"01",
    b"9" * 5000, b"[" * 2000, b'{"a":' * 500, b"\n", b"\r\n", b"//", b"null", b"\xef\xbb\xbf",
]  # fmt: skip
CONTENT_TYPES = ["application/json"] * 24 + [
    "application/x-ndjson",
    "application/jsonl",
    "application/json; charset=utf-16",
    'application/json; charset="',
    "text/plain",
    "application/json;;;",
    "*/*",
]

Body = Callable[[random.Random], bytes]


def odd_fields(dice: random.Random) -> bytes:
    """A task of which some fields hold what they should not."""
    task = dict(VALID)
    for _ in range(dice.randint(1, 4)):
        name = dice.choice([*VALID, "run_at", "unknown", "", "a.b", "\0"])
        task[name] = dice.choice(ODD)
    for name in dice.sample(sorted(task), dice.randint(0, 5)):
        task.pop(name)
    return json.dumps(task).encode()


def odd_batch(dice: random.Random) -> bytes:
    """A batch with odd members, or none."""
    members = [dice.choice([VALID, {"type": "t"}, *ODD]) for _ in range(dice.randint(0, 6))]
    return json.dumps(
        dice.choice([members, {"tasks": members}, {"tasks": dice.choice(ODD)}])
    ).encode()


def broken_text(dice: random.Random) -> bytes:
    """JSON with bytes changed, put in or cut out."""
    data = bytearray(json.dumps(dice.choice([VALID, [VALID, VALID]])).encode())
    for _ in range(dice.randint(1, 6)):
        place = dice.randrange(len(data))
        if dice.random() < 0.5:
            data[place:place] = dice.choice(BYTES)
        elif dice.random() < 0.5:
            data[place] = dice.randrange(256)
        else:
            del data[place : place + dice.randint(1, 40)]
        data = data or bytearray(b" ")
    return bytes(data)


def noise(dice: random.Random) -> bytes:
    """Anything."""
    return dice.randbytes(dice.randint(0, 400))


def broken_lines(dice: random.Random) -> bytes:
    """NDJSON with some bad lines."""
    makers: list[Body] = [odd_fields, broken_text, lambda _: b"", lambda _: b'{"type": "t"}']
    return b"\n".join(dice.choice(makers)(dice) for _ in range(dice.randint(1, 5)))


def header(dice: random.Random) -> str:
    return dice.choice(["k", "", "k" * 300, "é", "\udcff", "0" * 4000, '"', "%00"])


async def send(http: aiohttp.ClientSession, dice: random.Random) -> Answer:
    make: Body = dice.choice([odd_fields, odd_fields, odd_batch, broken_text, noise, broken_lines])
    headers = {"Content-Type": dice.choice(CONTENT_TYPES)}
    for name in ("Idempotency-Key", "X-Request-Id", "Accept", "traceparent"):
        if dice.random() < 0.1:
            headers[name] = header(dice)
    path = dice.choice(["/api/tasks", "/api/tasks", "/api/tasks/batch"])
    return await ask(http, "POST", path, data=make(dice), headers=headers)


@pytest.mark.timeout(300)
async def test_no_body_or_header_makes_a_server_error(
    http: aiohttp.ClientSession, db: Database
) -> None:
    dice = random.Random(SEED)
    seen: Counter[int] = Counter()
    accepted = 0
    for _ in range(REQUESTS // AT_ONCE):
        calls = [send(http, random.Random(dice.random())) for _ in range(AT_ONCE)]
        for answer in await asyncio.gather(*calls):
            seen[answer.status] += 1
            assert answer.status < 500, answer
            if answer.status == 201:
                accepted += answer.json.get("created", 1)
    # shown with -s: the figures that a release report quotes
    sys.stdout.write(f"fuzz: {seen.total()} requests, answers: {dict(sorted(seen.items()))}\n")
    assert seen[400] > REQUESTS // 4
    assert seen[201] > 0
    assert await db.fetchval("SELECT count(*) FROM tidemill.tasks") == accepted
    assert (await enqueue(http)).status == 201


async def test_odd_paths_and_queries_are_answered(http: aiohttp.ClientSession) -> None:
    dice = random.Random(SEED)
    for _ in range(300):
        tail = "".join(chr(dice.choice([*range(33, 127), 0xE9, 0x1F40B])) for _ in range(12))
        path = dice.choice(["/api/tasks/", "/api/", "/", "/api/stats?", "/metrics?"]) + tail
        async with http.request(dice.choice(["GET", "POST", "HEAD", "OPTIONS"]), path) as response:
            assert response.status < 500
