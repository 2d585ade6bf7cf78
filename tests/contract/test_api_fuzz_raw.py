"""Malformed requests as bytes: framing, heads and bodies that no client would send.

Never a 5xx, always a problem or a closed connection; the server goes on, and nothing is stored.
`make fuzz` sends other ones for longer (tests/support/raw_fuzz.py).
"""

import asyncio
import itertools
import random
import sys
from collections import Counter
from collections.abc import Iterable

import aiohttp
import pytest

from tests.contract.test_api_fuzz import AT_ONCE, SEED
from tests.support import raw_fuzz, storage
from tests.support.http import ask, enqueue
from tests.support.raw_http import assert_refused_well, exchange
from tests.support.raw_requests import bodies, heads, mutations, request
from tests.support.seeds import seed
from tidemill.db import Database
from tidemill.store import Store
from tidemill_api import reading


async def storm(http: aiohttp.ClientSession, requests: Iterable[bytes]) -> Counter[int]:
    """Send all, `AT_ONCE` at a time, and hold every answer."""
    seen: Counter[int] = Counter()
    left = iter(requests)

    async def some() -> None:
        for data in left:
            [reply] = await exchange(http, data)
            assert_refused_well(reply, data)
            seen[reply.status] += 1

    await asyncio.gather(*(some() for _ in range(AT_ONCE)))
    # shown with -s: the figures that a release report quotes
    sys.stdout.write(f"fuzz: {seen.total()} requests, answers: {dict(sorted(seen.items()))}\n")
    return seen


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bodies that do not come are given up soon."""
    monkeypatch.setattr(reading, "BODY_SECONDS", 0.2)


async def hold(http: aiohttp.ClientSession, db: Database) -> None:
    """Assert that nothing was stored, and that the server works."""
    for table in ("tasks", "queues", "task_types", "schedules", "workers"):
        found = await db.fetch(f"SELECT * FROM tidemill.{table}")  # noqa: S608 - names of this file
        assert [row for row in found if row.get("name") != "default"] == [], table
    assert (await ask(http, "GET", "/health")).json["status"] == "ok"
    assert (await enqueue(http)).status == 201


@pytest.mark.timeout(300)
async def test_bad_bodies_to_every_route(http: aiohttp.ClientSession, db: Database) -> None:
    seen = await storm(http, bodies())
    assert set(seen) <= {400, 404, 413, 415}
    await hold(http, db)


@pytest.mark.timeout(300)
async def test_bad_heads_and_frames(http: aiohttp.ClientSession, db: Database) -> None:
    seen = await storm(http, heads())
    assert seen[400] > seen[200] > 0
    await hold(http, db)


@pytest.mark.timeout(300)
async def test_heads_with_random_bytes(http: aiohttp.ClientSession, db: Database) -> None:
    made = mutations(random.Random(SEED))
    seen = await storm(http, (next(made) for _ in range(2000)))
    assert seen[400] > 1000
    await hold(http, db)


@pytest.mark.timeout(300)
async def test_random_requests_to_every_route(http: aiohttp.ClientSession, store: Store) -> None:
    made = raw_fuzz.requests(random.Random(SEED), await seed(store))
    seen = await raw_fuzz.fuzz(http, itertools.islice(made, 1500))
    sys.stdout.write(raw_fuzz.told(seen, SEED))  # shown with -s
    assert min(seen[200], seen[201], seen[400], seen[404], seen[415]) > 0
    assert (await enqueue(http)).status == 201


async def test_pipelined_requests_are_answered_in_order(http: aiohttp.ClientSession) -> None:
    ask_one = b"GET /api/version HTTP/1.1\r\nHost: x\r\n\r\n"
    replies = await exchange(http, (ask_one + request()) * 10, answers=20)
    assert [each.status for each in replies] == [200, 400] * 10
    replies += await exchange(http, b"nonsense\r\n\r\n" + ask_one, answers=2)
    assert [each.status for each in replies[20:]] == [400, 0]
    for each in replies:
        assert_refused_well(each, b"")


async def test_a_body_that_ends_early_is_told_or_dropped(
    http: aiohttp.ClientSession, db: Database
) -> None:
    whole = request(body=b'{"type": "t"}')
    for cut in range(1, 13):
        [reply] = await exchange(http, whole[:-cut])
        assert reply.status == 408
    assert await storage.count(db, "tasks") == 0
    await hold(http, db)
