"""Health, readiness, statistics, metrics, version."""

import re

import aiohttp
import pytest

import tidemill
from tests.contract.conftest import Start
from tests.support.http import ask, enqueue
from tidemill import schema
from tidemill.db import Database
from tidemill.settings import Settings

STATS = {
    "total_tasks",
    "queued_tasks",
    "scheduled_tasks",
    "running_tasks",
    "succeeded_tasks",
    "failed_tasks",
    "avg_retry_count",
    "tasks_with_retries",
}


async def samples(http: aiohttp.ClientSession) -> dict[str, float]:
    answer = await ask(http, "GET", "/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    pairs = re.findall(r"^([^#\s]\S*(?:{.*})?) (\S+)$", answer.body.decode(), re.MULTILINE)
    return {name: float(value) for name, value in pairs}


async def test_a_healthy_server(http: aiohttp.ClientSession) -> None:
    health = await ask(http, "GET", "/health")
    assert (health.status, health.json) == (200, {"status": "ok", "database": "up"})
    assert (await ask(http, "GET", "/healthz")).status == 200
    ready = await ask(http, "GET", "/readyz")
    assert (ready.status, ready.json) == (200, {"status": "ready", "reason": None})


async def test_a_schema_that_does_not_fit_is_unready_but_reachable(
    http: aiohttp.ClientSession, db: Database
) -> None:
    await db.execute("DELETE FROM tidemill.migrations")
    health = await ask(http, "GET", "/health")
    assert (health.status, health.json) == (503, {"status": "degraded", "database": "up"})
    ready = await ask(http, "GET", "/readyz")
    assert ready.status == 503
    assert [each.headers["Retry-After"] for each in (health, ready)] == ["1", "1"]
    assert "tidemill migrate" in ready.json["reason"]
    assert (await ask(http, "GET", "/healthz")).status == 200


async def test_version_and_index(http: aiohttp.ClientSession) -> None:
    version = await ask(http, "GET", "/api/version")
    assert version.json == {"version": tidemill.__version__, "schema_version": schema.LATEST}
    index = await ask(http, "GET", "/")
    for path in index.json["paths"].values():
        method = "POST" if path == "/api/tasks" else "GET"
        assert (await ask(http, method, path)).status not in (404, 405)


async def test_statistics_count_tasks_by_status_and_queue(http: aiohttp.ClientSession) -> None:
    empty = (await ask(http, "GET", "/api/stats")).json
    assert empty.keys() >= STATS
    assert empty["total_tasks"] == 0
    for queue, delay in (("a", 0), ("a", 0), ("b", 60)):
        await enqueue(http, queue=queue, delay_seconds=delay)
    stats = (await ask(http, "GET", "/api/stats")).json
    assert (stats["total_tasks"], stats["queued_tasks"], stats["scheduled_tasks"]) == (3, 2, 1)
    queues = {each["queue"]: each for each in stats["queues"]}
    assert queues["a"]["queued_tasks"] == 2
    assert queues["b"]["scheduled_tasks"] == 1
    assert queues["a"].keys() >= STATS | {"oldest_queued_seconds", "paused"}
    assert queues["a"]["oldest_queued_seconds"] > 0


async def test_metrics_count_enqueues_requests_and_batches(http: aiohttp.ClientSession) -> None:
    await enqueue(http, queue="a")
    await enqueue(http, queue="a", delay_seconds=60)
    for _ in range(2):
        await enqueue(http, queue="a", idempotency_key="k")
    await ask(http, "GET", "/api/tasks/none")
    await ask(http, "GET", "/never/heard/of")
    found = await samples(http)

    def enqueued(status: str) -> float:
        name = f'{{queue="a",status="{status}",type="t"}}'
        return found[f"tidemill_api_enqueued_tasks_total{name}"]

    assert (enqueued("queued"), enqueued("scheduled"), enqueued("existing")) == (2, 1, 1)

    def requests(method: str, route: str, status: int) -> float:
        labels = f'{{method="{method}",route="{route}",status="{status}"}}'
        return found[f"tidemill_api_request_seconds_count{labels}"]

    assert requests("POST", "/api/tasks", 201) == 3
    assert requests("POST", "/api/tasks", 200) == 1
    assert requests("GET", "/api/tasks/{id}", 404) == 1
    assert requests("GET", "unmatched", 404) == 1
    assert found["tidemill_api_insert_tasks_count"] == 4
    assert found["tidemill_api_insert_tasks_sum"] == 4


async def test_queue_gauges_show_zero_and_never_vanish(
    http: aiohttp.ClientSession, db: Database
) -> None:
    names = ("ready", "scheduled", "running", "dead", "oldest_ready_seconds", "paused")
    found = await samples(http)
    for name in names:
        assert found[f'tidemill_queue_{name}{{queue="default"}}'] == 0
    assert found["tidemill_database_up"] == 1

    await enqueue(http, queue="gone")

    async def gauge() -> float | None:
        return (await samples(http)).get('tidemill_queue_ready{queue="gone"}')

    while await gauge() != 1:  # figures are read once for scrapers that come together
        pass
    await db.execute("DELETE FROM tidemill.queues")
    while await gauge() != 0:
        assert await gauge() is not None


async def test_unmatched_paths_and_methods_make_no_new_series(http: aiohttp.ClientSession) -> None:
    for n in range(20):
        await ask(http, "GET", f"/random/{n}")
        await ask(http, "GET", f"/api/tasks/{n}")
    series = [
        name
        for name in await samples(http)
        if name.startswith("tidemill_api_request_seconds_count")
    ]
    assert len(series) <= 3


async def test_no_tokens_is_said_loudly(
    start_api: Start, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    await start_api(settings)
    [warning] = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "AUTHENTICATION IS OFF" in warning.getMessage()
