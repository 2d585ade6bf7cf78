"""The database goes away under load and comes back: nothing acknowledged is lost."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.contract.conftest import Start, running_api
from tests.support import postgres
from tests.support.http import Answer, ask, enqueue, until
from tests.support.http_worker import HttpWorker
from tidemill.db import Database
from tidemill.schema import migrate
from tidemill.settings import Settings
from tidemill_api import enqueue as enqueues
from tidemill_api.routes.acts import ACTS
from tidemill_api.routes.dead_letters import DEAD_LETTERS
from tidemill_api.routes.leases import LEASES
from tidemill_api.routes.queues import QUEUES
from tidemill_api.routes.tasks import TASKS
from tidemill_api.routes.types import TYPES
from tidemill_api.routes.workers import WORKERS
from tidemill_cli.local.postgres import EmbeddedPostgres

PRODUCERS = 32


@pytest.fixture
async def own_settings(private_server: EmbeddedPostgres) -> Settings:
    """Settings of a migrated database on a server that the test may stop."""
    settings = postgres.settings_of(private_server.url("postgres"))
    db = Database.of(settings, application="tests")
    await migrate(db)
    await db.close()
    return settings


@pytest.fixture
async def own_http(own_settings: Settings) -> AsyncIterator[aiohttp.ClientSession]:
    async with running_api(own_settings) as client:
        yield client


class Producers:
    """Enqueue without pause and remember every answer."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self.answers: list[Answer] = []
        self._http = http
        self._stop = False

    def count(self, status: int) -> int:
        return sum(answer.status == status for answer in self.answers)

    async def run(self) -> None:
        await asyncio.gather(*(self._produce(n) for n in range(PRODUCERS)))

    def stop(self) -> None:
        self._stop = True

    async def reach(self, status: int, count: int) -> None:
        async def reached() -> bool:
            return self.count(status) >= count

        await until(reached)

    async def _produce(self, number: int) -> None:
        turn = 0
        while not self._stop:
            turn += 1
            key = f"{number}-{turn}" if turn % 2 else None
            self.answers.append(await enqueue(self._http, idempotency_key=key))
            if self.answers[-1].status != 201:
                await asyncio.sleep(0.1)


async def test_a_crash_under_load_loses_nothing_acknowledged(
    own_http: aiohttp.ClientSession,
    private_server: EmbeddedPostgres,
    own_settings: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    producers = Producers(own_http)
    running = asyncio.create_task(producers.run())
    await producers.reach(201, 300)

    await asyncio.to_thread(private_server.crash)
    await producers.reach(503, PRODUCERS)
    assert (await ask(own_http, "GET", "/healthz")).status == 200

    await asyncio.to_thread(private_server.start)
    before = producers.count(201)
    await producers.reach(201, before + 300)
    producers.stop()
    await running

    assert {answer.status for answer in producers.answers} == {201, 503}
    failures = [r for r in caplog.records if r.name.startswith("tidemill_api.middleware")]
    assert 1 <= len(failures) < 100  # thousands of requests failed alike
    acknowledged = {answer.json["id"] for answer in producers.answers if answer.status == 201}
    assert len(acknowledged) == producers.count(201)
    db = Database.of(own_settings, application="tests")
    rows = await db.fetch("SELECT id::text FROM tidemill.tasks")
    ready = await db.fetchval("SELECT count(*) FROM tidemill.ready")
    await db.close()
    assert acknowledged <= {row["id"] for row in rows}
    assert ready == len(rows)


def acts(task: str) -> list[tuple[tuple[str, str], dict[str, Any]]]:
    """Return a call that needs the database for each route that is not a probe."""
    bodies: dict[str, dict[str, Any]] = {
        "/api/tasks/reprioritise": {"priority": 1},
        "/api/tasks/move": {"queue": "q"},
        "/api/task-types/{name}": {},
        "/api/queues/{name}": {},
    }
    task_id = task.rpartition("/")[2]
    lease = {"task_id": task_id, "token": 1}
    whole: dict[str, dict[str, Any]] = {
        "/api/workers": {"name": "w", "queues": ["*"]},
        "/api/queues/{name}/claim": {"worker_id": 1},
        "/api/leases/extend": {"worker_id": 1, "leases": [lease]},
        "/api/leases/fail": {"leases": [{**lease, "error": {"type": "E"}}]},
        "/api/leases/snooze": {"leases": [{**lease, "seconds": 1}]},
        "/api/leases/complete": {"leases": [lease]},
        "/api/leases/release": {"leases": [lease]},
    }
    calls: list[tuple[tuple[str, str], dict[str, Any]]] = []
    for each in (*ACTS, *DEAD_LETTERS, *QUEUES, *TYPES, *WORKERS, *LEASES, *TASKS[2:]):
        path = each.path.replace("{name}", "n").replace("/api/tasks/{id}", task)
        path = path.replace("workers/{id}", "workers/1").replace("{id}", task_id)
        body = bodies.get(each.path, {})
        if each.bodies and each.method == "POST":
            body = whole.get(each.path) or {"filter": {}, "all": True} | body
        calls.append(((each.method, path), {"json": body} if each.bodies else {}))
    return calls


async def test_every_endpoint_while_the_database_is_down(
    own_http: aiohttp.ClientSession, private_server: EmbeddedPostgres
) -> None:
    made = await enqueue(own_http)
    task = f"/api/tasks/{made.json['id']}"
    await asyncio.to_thread(private_server.stop)

    for answer in (
        await enqueue(own_http),
        await enqueue(own_http, idempotency_key="k"),
        await ask(own_http, "POST", "/api/tasks/batch", json=[{"type": "t"}]),
        await ask(own_http, "GET", task),
        await ask(own_http, "GET", f"{task}/history"),
        await ask(own_http, "GET", "/api/stats"),
        *[await ask(own_http, *call, **body) for call, body in acts(task)],
    ):
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) >= 1
        assert "127.0.0.1" not in answer.body.decode()
    assert (await enqueue(own_http, priority="?")).status == 400

    async def known_down() -> bool:
        return bool((await ask(own_http, "GET", "/health")).json["database"] == "down")

    await until(known_down)
    health = await ask(own_http, "GET", "/health")
    assert (health.status, health.json["status"]) == (503, "degraded")
    ready = await ask(own_http, "GET", "/readyz")
    assert (ready.status, ready.json["status"]) == (503, "unready")
    for path in ("/healthz", "/metrics", "/api/version", "/openapi.json", "/"):
        assert (await ask(own_http, "GET", path)).status == 200

    async def known_unread() -> bool:
        text = (await ask(own_http, "GET", "/metrics")).body
        return b"tidemill_database_up 0.0" in text

    await until(known_unread)

    await asyncio.to_thread(private_server.start)

    async def ready_again() -> bool:
        return (await ask(own_http, "GET", "/readyz")).status == 200

    await until(ready_again)
    assert (await ask(own_http, "GET", task)).json["id"] == made.json["id"]


async def test_cut_sessions_are_replaced(
    http: aiohttp.ClientSession, server: postgres.Server, database_url: str
) -> None:
    name = database_url.rpartition("/")[2]
    for _ in range(3):
        assert (await enqueue(http)).status == 201
        assert server.cut(name) >= 1

        async def works() -> bool:
            return (await enqueue(http)).status == 201

        await until(works)


async def test_a_statement_that_hangs_ends_in_503(
    start_api: Start, database_url: str, db: Database
) -> None:
    http = await start_api(postgres.settings_of(database_url, database_statement_seconds=2.0))
    assert (await enqueue(http)).status == 201
    async with db.transaction() as held:
        await held.execute("LOCK TABLE tidemill.tasks IN ACCESS EXCLUSIVE MODE")
        answer = await enqueue(http)
    assert answer.status == 503
    assert (await enqueue(http)).status == 201


async def test_more_than_may_wait_is_refused_at_once(
    start_api: Start, settings: Settings, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enqueues, "MOST_WAITING", 5)
    http = await start_api(settings)
    assert (await enqueue(http)).status == 201
    async with db.transaction() as held:
        await held.execute("LOCK TABLE tidemill.ready IN ACCESS EXCLUSIVE MODE")
        calls = [asyncio.create_task(enqueue(http)) for _ in range(50)]
        refused, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        assert {call.result().status for call in refused} == {503}
    answers = await asyncio.gather(*calls)
    accepted = [answer for answer in answers if answer.status == 201]
    assert accepted
    for answer in answers:
        if answer.status != 201:
            assert answer.json["type"] == "urn:tidemill:problem:overloaded"
    assert await db.fetchval("SELECT count(*) FROM tidemill.tasks") == len(accepted) + 1


async def test_an_unexpected_error_tells_the_client_nothing_and_the_log_everything(
    http: aiohttp.ClientSession, db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    made = await enqueue(http)
    await db.execute("ALTER TABLE tidemill.attempts RENAME TO secret_name")
    answer = await ask(http, "GET", f"/api/tasks/{made.json['id']}/history")
    assert answer.status == 500
    assert answer.json["type"] == "urn:tidemill:problem:internal"
    assert "attempts" not in answer.body.decode()
    [record] = [r for r in caplog.records if r.name == "tidemill_api.middleware"]
    assert record.exc_info
    assert vars(record)["request_id"] == answer.headers["X-Request-Id"]


async def test_workers_that_wait_are_told_and_go_on_when_it_is_back(
    own_http: aiohttp.ClientSession, private_server: EmbeddedPostgres
) -> None:
    worker = await HttpWorker.register(own_http)
    await enqueue(own_http)
    [task] = await worker.claim(lease_seconds=600)
    waiting = asyncio.create_task(worker.ask_claim(wait=60))
    await asyncio.to_thread(private_server.stop)
    assert (await waiting).status == 503
    assert (await worker.ask_end("complete", [task])).status == 503
    await asyncio.to_thread(private_server.start)

    async def reported() -> bool:
        return (await worker.ask_end("complete", [task])).status == 200

    await until(reported)
    assert await worker.end("complete", [task]) == [True]
    await enqueue(own_http)
    assert len(await worker.claim(wait=60)) == 1
