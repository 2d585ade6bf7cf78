"""Every route's every documented error, provoked for real; another answer than documented fails.

A new error status of a route needs its case in tests/support/problem_cases.py.
"""

import asyncio
import json

import aiohttp
import pytest

from tests.contract.conftest import running_api
from tests.support import postgres, seeds
from tests.support.http import ask
from tests.support.problem_cases import DOCUMENTED, KEY, LOST_KEY, Call, Calls
from tests.support.seeds import seed
from tidemill.db import Database
from tidemill.models import NewTask
from tidemill.schema import migrate
from tidemill.store import Store
from tidemill_api import reading
from tidemill_api.endpoints import Endpoint
from tidemill_api.routes import ENDPOINTS
from tidemill_cli.local.postgres import EmbeddedPostgres

BY_BODY = {408, 413}
AWAY = 503
SENT = 1024 * 1024 + 2
"""Bytes: past the limit of every route that takes no more than an act's body."""

ANNOUNCED = reading.MAX_BATCH_BYTES + 1
"""Bytes: past the limit of every route."""


def documenting(status: int) -> list[Endpoint]:
    return [each for each in ENDPOINTS if status in each.problems]


def wrong(found: dict[str, int], status: int) -> dict[str, int]:
    """Return the routes whose answer had another status."""
    assert found.keys() == {each.name for each in documenting(status)}
    return {name: each for name, each in found.items() if each != status}


@pytest.fixture
async def calls(store: Store, db: Database) -> Calls:
    """Requests on this test's database, which has some of everything."""
    known = await seed(store)
    keyed = NewTask(type="u", queue=seeds.QUEUE, idempotency_key=KEY)
    lost = NewTask(type="t", queue=seeds.QUEUE, idempotency_key=LOST_KEY)
    _, gone = await store.tasks.enqueue([keyed, lost])
    # the task of a key went, as after a restore of a part; and a type that is never there
    await db.execute("DELETE FROM tidemill.tasks WHERE id = $1", gone.id)
    await db.execute(seeds.LOSE_TYPE)
    return Calls(known)


@pytest.mark.parametrize("status", sorted({*DOCUMENTED} - BY_BODY - {AWAY}))
async def test_each_route_answers_as_documented_what_it_refuses(
    http: aiohttp.ClientSession, calls: Calls, status: int
) -> None:
    found: dict[str, int] = {}
    for each in documenting(status):
        call = calls.refused(each, status)
        found[each.name] = (await ask(http, call.method, call.path, **call.options())).status
    assert not wrong(found, status)


async def head_only(http: aiohttp.ClientSession, call: Call, *, announced: int, sent: int) -> int:
    """Return the status of the answer to a body that is announced, and comes as far as `sent`."""
    url = http._base_url
    assert url is not None
    reader, writer = await asyncio.open_connection(url.host, url.port)
    head = f"{call.method} {call.path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {announced}\r\n\r\n".encode() + b" " * sent)
    status = int((await reader.readline()).split()[1])
    headers = await reader.readuntil(b"\r\n\r\n")
    length = int(headers.lower().partition(b"content-length: ")[2].split()[0])
    assert json.loads(await reader.readexactly(length))["status"] == status
    writer.close()
    return status


async def test_each_route_refuses_a_body_that_is_too_large(
    http: aiohttp.ClientSession, calls: Calls
) -> None:
    found: dict[str, int] = {}
    for each in documenting(413):
        call = calls.valid(each)
        found[each.name] = await head_only(http, call, announced=ANNOUNCED, sent=SENT)
    assert not wrong(found, 413)


async def test_each_route_gives_up_on_a_body_that_does_not_come(
    http: aiohttp.ClientSession, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "BODY_SECONDS", 0.05)
    found: dict[str, int] = {}
    for each in documenting(408):
        found[each.name] = await head_only(http, calls.valid(each), announced=10, sent=1)
    assert not wrong(found, 408)


async def test_each_route_says_that_the_database_is_away(private_server: EmbeddedPostgres) -> None:
    settings = postgres.settings_of(private_server.url("postgres"))
    db = Database.of(settings, application="tests")
    await migrate(db)
    calls = Calls(await seed(Store.of(db)))
    await db.close()
    found: dict[str, int] = {}
    async with running_api(settings) as http:
        await asyncio.to_thread(private_server.stop)
        for each in documenting(AWAY):
            call = calls.valid(each)
            found[each.name] = (await ask(http, call.method, call.path, **call.options())).status
        await asyncio.to_thread(private_server.start)
    assert not wrong(found, AWAY)


def test_every_route_that_needs_the_database_says_so() -> None:
    free = {each.name for each in ENDPOINTS} - {each.name for each in documenting(AWAY)}
    told = {"getVersion", "getHealth", "getLiveness", "getReadiness", "getMetrics"}
    assert free == told | {"getOpenApi", "getIndex"}
