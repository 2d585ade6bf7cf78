"""Gauges of queues: read once for all scrapers, and at 0 rather than gone."""

import asyncio
import re

import aiohttp
import pytest

from tests.contract.conftest import Start
from tests.support import storage
from tests.support.http import ask, enqueue
from tidemill.models import Stats
from tidemill.settings import Settings
from tidemill.states import Outcome
from tidemill.store import Store
from tidemill.store.stats import StatsStore
from tidemill_api import gauges

SCRAPERS = 20
KINDS = ("ready", "scheduled", "running", "dead", "oldest_ready_seconds", "paused")


async def scrape(http: aiohttp.ClientSession) -> str:
    answer = await ask(http, "GET", "/metrics")
    assert answer.status == 200
    return answer.body.decode()


def of_queue(text: str, queue: str) -> dict[str, float]:
    pattern = rf'^tidemill_queue_(\w+){{queue="{queue}"}} (\S+)$'
    return {name: float(value) for name, value in re.findall(pattern, text, re.MULTILINE)}


async def test_however_many_scrape_the_figures_are_read_once(
    start_api: Start, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = 0
    read = StatsStore.stats

    async def counted(self: StatsStore) -> Stats:
        nonlocal reads
        reads += 1
        return await read(self)

    monkeypatch.setattr(StatsStore, "stats", counted)
    monkeypatch.setattr(gauges, "FRESH_SECONDS", 3600.0)  # an interval that does not end here
    http = await start_api(settings)
    await enqueue(http, queue="p")
    found = await asyncio.gather(*(scrape(http) for _ in range(SCRAPERS)))
    found += [await scrape(http) for _ in range(3)]
    assert [of_queue(text, "p")["ready"] for text in found] == [1] * len(found)
    assert reads == 1


async def test_what_is_over_is_0_and_not_gone(
    http: aiohttp.ClientSession, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gauges, "FRESH_SECONDS", 0.0)
    assert of_queue(await scrape(http), "default") == dict.fromkeys(KINDS, 0)
    await enqueue(http, queue="p")
    await enqueue(http, queue="p", delay_seconds=3600)
    told = of_queue(await scrape(http), "p")
    assert (told["ready"], told["scheduled"], told["running"]) == (1, 1, 0)
    worker = await storage.worker(store)
    claimed = await storage.claim(store, worker, queues=["p"])
    await store.leases.finish(storage.ends(claimed, Outcome.FAILED))
    told = of_queue(await scrape(http), "p")
    assert (told["ready"], told["dead"], told["oldest_ready_seconds"]) == (0, 1, 0)
    await ask(http, "POST", "/api/tasks/delete", json={"filter": {"queue": "p"}})
    assert (await ask(http, "DELETE", "/api/queues/p")).status == 204
    assert of_queue(await scrape(http), "p") == dict.fromkeys(KINDS, 0)


async def test_each_kind_of_figure_is_there(http: aiohttp.ClientSession) -> None:
    await enqueue(http, type="mail", queue="p")
    text = await scrape(http)
    for line in (
        'tidemill_api_enqueued_tasks_total{queue="p",status="queued",type="mail"} 1.0',
        "tidemill_api_insert_tasks_count ",
        'tidemill_api_request_seconds_count{method="POST",route="/api/tasks",status="201"} 1.0',
        "tidemill_database_pool_size ",
        "tidemill_database_connections ",
        "tidemill_database_connections_in_use ",
        "tidemill_database_waiters ",
        "tidemill_database_wait_seconds_count ",
        "tidemill_api_event_streams 0.0",
    ):
        assert f"\n{line}" in text, line
