"""Postgres is killed in the middle of 5,000 concurrent enqueues over HTTP: what each answer says.

201 is stored; an error is not. One error cannot tell, and says so (`outcome-unknown`): the database
died while it was at that insert, so only its answer is lost, maybe. With a key it is sent again.
"""

import asyncio
import resource
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from tests.support import postgres
from tests.support.api_process import api_process
from tests.support.storage import until, until_blocked
from tidemill.db import Database
from tidemill.errors import DatabaseUnavailable
from tidemill.schema import migrate
from tidemill.settings import Settings
from tidemill_cli.local.postgres import EmbeddedPostgres

CLIENTS = 5000
BEFORE = 1000
"""Answers before the server is killed: by then enqueues come in and go out all the time."""

Kill = Callable[[EmbeddedPostgres, Database], Awaitable[None]]

UNKNOWN = "urn:tidemill:problem:outcome-unknown"
AWAY = "urn:tidemill:problem:database-unavailable"


@dataclass(frozen=True, slots=True)
class Sent:
    """An enqueue and its answer: the task's id, or the type of the problem."""

    name: str
    status: int
    told: str

    @property
    def key(self) -> str | None:
        """Every second one has an idempotency key."""
        return f"key-{self.name}" if _keyed(self.name) else None


def _keyed(name: str) -> bool:
    return int(name.partition("-")[0]) % 2 == 0


async def send(http: aiohttp.ClientSession, name: str) -> Sent:
    body: dict[str, Any] = {"type": "t", "name": name, "payload": {"n": name}}
    if _keyed(name):
        body["idempotency_key"] = f"key-{name}"
    async with http.post("/api/tasks", json=body) as response:
        answer = await response.json(content_type=None)
    return Sent(name, response.status, answer["id" if response.status < 400 else "type"])


class Storm:
    """`CLIENTS` enqueues at a time, until one is told that the database is away."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self.sent: list[Sent] = []
        self._http = http

    async def run(self) -> None:
        await asyncio.gather(*(self._client(number) for number in range(CLIENTS)))

    async def begun(self) -> bool:
        return len(self.sent) >= BEFORE

    async def _client(self, number: int) -> None:
        turn = 0
        while not self.sent or self.sent[-1].status == 201:
            turn += 1
            self.sent.append(await send(self._http, f"{number}-{turn}"))


@pytest.fixture
def many_files() -> Iterator[None]:
    """As many open files as two ends of all connections need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 3 * CLIENTS
    assert hard == resource.RLIM_INFINITY or hard >= wanted, f"ulimit -Hn is below {wanted}"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def stored(settings: Settings) -> dict[str, str]:
    """Return the ids of all tasks by name; each must be ready."""
    db = Database.of(settings, application="tests")
    rows = await db.fetch(
        "SELECT t.id::text, t.name, r.task_id IS NOT NULL AS ready, "
        "count(*) OVER (PARTITION BY t.name) AS twice "
        "FROM tidemill.tasks t LEFT JOIN tidemill.ready r ON r.task_id = t.id"
    )
    await db.close()
    assert all(row["ready"] and row["twice"] == 1 for row in rows)
    return {row["name"]: row["id"] for row in rows}


async def lift_lock_limit(db: Database) -> None:
    """Let an insert wait for locks as long as it takes, not 2 s.

    On a slow machine that may pass between the lock and the kill: an insert that has ended with
    an error is no insert amid which to kill. Nor may one of those sent twice give up the other.
    """
    await db.execute("ALTER FUNCTION tidemill.enqueue_rows SET lock_timeout = 0")


async def at_any_moment(server: EmbeddedPostgres, _db: Database) -> None:
    """Kill the server at whatever it is."""
    await asyncio.to_thread(server.crash)


async def amid_an_insert(server: EmbeddedPostgres, db: Database) -> None:
    """Kill the server when it has begun an insert and cannot have ended it."""
    with suppress(DatabaseUnavailable):
        async with db.transaction() as held:
            await held.execute("LOCK TABLE tidemill.ready IN ACCESS EXCLUSIVE MODE")
            await until_blocked(db)
            await asyncio.to_thread(server.crash)


@pytest.mark.timeout(400)
@pytest.mark.usefixtures("many_files")
@pytest.mark.parametrize("kill", [at_any_moment, amid_an_insert])
async def test_a_database_killed_amid_5000_enqueues_keeps_each_201_and_no_error(
    private_server: EmbeddedPostgres, kill: Kill
) -> None:
    settings = postgres.settings_of(private_server.url("postgres"))
    db = Database.of(settings, application="tests")
    await migrate(db)
    await lift_lock_limit(db)
    async with api_process(settings) as http:
        storm = Storm(http)
        running = asyncio.create_task(storm.run())
        await until(storm.begun)
        await kill(private_server, db)
        await db.close()
        await running
        await asyncio.to_thread(private_server.start)
        found = await stored(settings)
        unknown = _hold(storm.sent, found)
        await _send_again(http, storm.sent, found)
        kept = await stored(settings)
    assert {name: kept[name] for name in found} == found
    assert unknown or kill is at_any_moment


def _hold(sent: list[Sent], found: dict[str, str]) -> set[str]:
    """Hold the answers against what is stored; return which told that nobody knows."""
    accepted = {each.name: each.told for each in sent if each.status == 201}
    unknown = {each.name for each in sent if each.told == UNKNOWN}
    refused = {each.name for each in sent if each.status != 201} - unknown
    hidden = unknown & found.keys()
    sys.stdout.write(
        f"crash: {len(sent)} enqueues, {len(accepted)} accepted, {len(refused)} refused, "
        f"{len(unknown)} unknown, of which {len(hidden)} stored\n"
    )
    assert Counter(each.status for each in sent).keys() == {201, 503}
    assert {each.told for each in sent if each.status == 503} <= {UNKNOWN, AWAY}
    assert len(accepted) >= BEFORE
    assert len(refused) + len(unknown) > 0
    assert {name: found.get(name) for name in accepted} == accepted
    assert not refused & found.keys()
    assert found.keys() == accepted.keys() | hidden
    return unknown


async def _send_again(http: aiohttp.ClientSession, sent: list[Sent], found: dict[str, str]) -> None:
    """Send again, twice each, what has a key and got an error: that makes one task each."""

    async def ready() -> bool:
        async with http.get("/readyz") as response:
            return response.status == 200

    await until(ready)
    errors = [each.name for each in sent if each.status != 201 and each.key is not None]
    answers = await asyncio.gather(*(send(http, name) for name in errors * 2))
    ids = {each.name: each.told for each in answers}
    for each in answers:
        assert (each.status in (200, 201), each.told) == (True, ids[each.name])
        assert found.get(each.name, each.told) == each.told
