"""Figures over time: a point for each stretch, whatever is folded, of whom one may see it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from tests.contract.conftest import running_api
from tests.support import postgres, storage
from tests.support.http import ask, enqueue
from tests.support.tokens import bearer, entry, text_of
from tidemill.db import Database
from tidemill.states import Outcome
from tidemill.store import Store
from tidemill.store.trends import MOST_POINTS, RESOLUTIONS, USUAL_POINTS, quantile

SUMS = ("enqueued", "started", "succeeded", "failed", "failed_attempts", "retries", "cancelled")


async def past(http: aiohttp.ClientSession, query: str = "", **options: Any) -> Any:
    answer = await ask(http, "GET", f"/api/stats/history{query}", **options)
    assert answer.status == 200
    return answer.json


def total(found: Any, *names: str) -> list[int]:
    return [sum(point[name] for point in found["points"]) for name in names]


def times(found: Any) -> list[datetime]:
    return [datetime.fromisoformat(point["at"]) for point in found["points"]]


async def test_a_chart_has_a_point_for_each_minute_also_where_nothing_happened(
    http: aiohttp.ClientSession,
) -> None:
    await enqueue(http)
    found = await past(http)
    assert (found["queue"], found["resolution"]) == (None, "minute")
    at = times(found)
    assert len(at) == USUAL_POINTS
    assert at == [at[0] + place * timedelta(minutes=1) for place in range(USUAL_POINTS)]
    assert datetime.fromisoformat(found["since"]) == at[0]
    assert datetime.fromisoformat(found["until"]) == at[-1] + timedelta(minutes=1)
    assert total(found, "enqueued", "started") == [1, 0]
    assert found["points"][0]["wait_p50_seconds"] is None


@pytest.mark.parametrize("resolution", RESOLUTIONS)
async def test_what_is_told_is_the_same_before_and_after_folding(
    http: aiohttp.ClientSession, store: Store, resolution: str
) -> None:
    worker = await storage.worker(store)
    await storage.enqueue(store, 6, queue="a")
    await storage.enqueue(store, 2, queue="b", delay_seconds=60.0)
    tasks = await storage.claim(store, worker, 5)
    await store.leases.finish(storage.ends(tasks[:2], Outcome.SUCCEEDED, run_seconds=1.5))
    await store.leases.finish(storage.ends(tasks[2:4], Outcome.RETRY, delay_seconds=60.0))
    await store.leases.finish(storage.ends(tasks[4:], Outcome.FAILED))
    for _ in range(2):
        found = await past(http, f"?resolution={resolution}")
        assert total(found, *SUMS) == [8, 5, 2, 1, 3, 2, 0]
        assert total(found, "run_seconds") == [3.0]
        of_b = await past(http, f"?resolution={resolution}&queue=b")
        assert (of_b["queue"], total(of_b, "enqueued", "started")) == ("b", [2, 0])
        (started,) = (point for point in found["points"] if point["started"])
        assert 0 < started["wait_p50_seconds"] <= started["wait_p99_seconds"]
        while await store.upkeep.fold(1000):
            pass


async def test_stretches_that_are_no_longer_kept_are_left_out(
    http: aiohttp.ClientSession, db: Database
) -> None:
    now: datetime = await db.fetchval("SELECT statement_timestamp()")
    for resolution, most in (("minute", 1440), ("hour", 720), ("day", MOST_POINTS)):
        found = await past(
            http, f"?resolution={resolution}&since=2001-01-01T00:00:00Z&until=2199-01-01T00:00:00Z"
        )
        assert most - 1 <= len(found["points"]) <= most
        assert datetime.fromisoformat(found["until"]) > now
    for query in (
        "?until=2001-01-01T00:00:00Z",
        "?resolution=day&since=2025-01-01T00:00:00Z&until=2025-01-01T00:00:00Z",
        "?since=2199-01-01T00:00:00Z",
    ):
        assert (await past(http, query))["points"] == []


async def test_bounds_are_whole_stretches(http: aiohttp.ClientSession, db: Database) -> None:
    now: datetime = await db.fetchval("SELECT statement_timestamp()")
    hour = (now - timedelta(hours=5)).replace(minute=0, second=0, microsecond=0)
    shown = [(hour + timedelta(minutes=m)).astimezone(UTC).isoformat() for m in (30, 100)]
    query = f"?resolution=hour&since={shown[0]}&until={shown[1]}".replace("+00:00", "Z")
    assert times(await past(http, query)) == [hour, hour + timedelta(hours=1)]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("?resolution=second", 400),
        ("?since=yesterday", 400),
        ("?queue=%20", 400),
        ("?queue=unborn", 404),
        ("?points=5", 400),
    ],
)
async def test_what_cannot_be_told_is_refused(
    http: aiohttp.ClientSession, query: str, status: int
) -> None:
    assert (await ask(http, "GET", f"/api/stats/history{query}")).status == status


async def test_a_stretch_that_ends_before_it_begins_is_refused(http: aiohttp.ClientSession) -> None:
    query = "?since=2025-01-02T00:00:00Z&until=2025-01-01T00:00:00Z"
    answer = await ask(http, "GET", f"/api/stats/history{query}")
    assert (answer.status, answer.fields) == (400, ["since"])
    assert answer.json["detail"] == "since: must not be after until"


async def test_a_token_of_some_queues_is_told_of_them_alone(
    database_url: str, store: Store
) -> None:
    tokens = text_of(entry("all", "admin"), entry("some", "read", queues=["p"]))
    await storage.enqueue(store, 3, queue="p")
    await storage.enqueue(store, 5, queue="q")
    async with running_api(postgres.settings_of(database_url, tokens=tokens)) as http:
        for token, count in (("all", 8), ("some", 3)):
            assert total(await past(http, headers=bearer(token)), "enqueued") == [count]
        assert total(await past(http, "?queue=p", headers=bearer("some")), "enqueued") == [3]
        for queue in ("q", "unborn"):
            path = f"/api/stats/history?queue={queue}"
            assert (await ask(http, "GET", path, headers=bearer("some"))).status == 403


def test_a_quantile_lies_in_the_bucket_that_holds_it() -> None:
    counts = [0] * 17
    assert quantile(counts, 0.5) is None
    assert quantile((), 0.5) is None
    counts[4] = 10  # from 50 ms to 100 ms
    assert quantile(counts, 0.5) == pytest.approx(0.075)
    assert quantile(counts, 1.0) == pytest.approx(0.1)
    counts[16] = 10**6  # longer than the last bound
    assert quantile(counts, 0.99) == 7200
