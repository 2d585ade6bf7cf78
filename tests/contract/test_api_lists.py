"""Lists over HTTP: tasks and workers, their filters and pages."""

from typing import Any

import aiohttp
import pytest

from tests.support import storage
from tests.support.http import ask, enqueue
from tidemill.store import Store


async def listed(http: aiohttp.ClientSession, **params: Any) -> list[dict[str, Any]]:
    """Return the tasks of all pages."""
    found: list[dict[str, Any]] = []
    asked = dict(params)
    while True:
        answer = await ask(http, "GET", "/api/tasks", params=asked)
        assert answer.status == 200
        found += answer.json["tasks"]
        if answer.json["next"] is None:
            return found
        asked["cursor"] = answer.json["next"]


async def test_tasks_are_listed_newest_first_page_by_page(http: aiohttp.ClientSession) -> None:
    made = [(await enqueue(http, payload={"n": n})).json["id"] for n in range(7)]
    for limit in (1, 3, 7, 1000):
        assert [task["id"] for task in await listed(http, limit=limit)] == made[::-1]
    answer = await ask(http, "GET", "/api/tasks?limit=3")
    assert len(answer.json["tasks"]) == 3


async def test_a_listed_task_says_what_the_task_says(
    http: aiohttp.ClientSession, store: Store
) -> None:
    await enqueue(http, name="n", headers={"a": "b"}, idempotency_key="k", max_retries=1)
    await storage.claim(store, await storage.worker(store))
    (shown,) = await listed(http)
    whole = (await ask(http, "GET", f"/api/tasks/{shown['id']}")).json
    assert shown == {name: whole[name] for name in shown}
    left_out = {"payload", "headers", "retry", "result", "last_error_detail", "progress"}
    assert set(whole) - set(shown) == left_out


async def test_filters_hold_together(http: aiohttp.ClientSession) -> None:
    wanted = (await enqueue(http, queue="p", name="x", delay_seconds=60)).json
    await enqueue(http, queue="p", name="x")
    await enqueue(http, queue="p", delay_seconds=60)
    await enqueue(http, queue="q", name="x", delay_seconds=60)
    await enqueue(http, queue="p", name="x", delay_seconds=60, type="u")
    found = await listed(http, status="scheduled", queue="p", type="t", name="x")
    assert [task["id"] for task in found] == [wanted["id"]]
    assert len(await listed(http, created_before=wanted["created_at"])) == 0
    assert len(await listed(http, created_after=wanted["created_at"])) == 5
    assert await listed(http, status="failed") == []
    assert await listed(http, queue="unknown") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=done", "status"),
        ("queue=%20", "queue"),
        ("type=", "type"),
        ("name=", "name"),
        ("name=%00", "name"),
        ("limit=1e3", "limit"),
        ("limit=-1", "limit"),
        ("limit=%D9%A1", "limit"),
        ("cursor=x", "cursor"),
        ("created_after=2030-01-01", "created_after"),
        ("colour=red", "colour"),
        ("status=queued&status=failed", "status"),
        ("=", '[""]'),
    ],
)
async def test_a_query_that_cannot_work_is_named(
    http: aiohttp.ClientSession, query: str, field: str
) -> None:
    answer = await ask(http, "GET", f"/api/tasks?{query}")
    assert (answer.status, answer.fields) == (400, [field])
    assert answer.json["type"] == "urn:tidemill:problem:invalid-request"


async def test_workers_are_listed_with_their_load(
    http: aiohttp.ClientSession, store: Store
) -> None:
    busy = await storage.worker(store, name="busy", slots=4, queues=("p", "q"))
    await storage.worker(store, name="idle")
    await storage.enqueue(store, 3, queue="p")
    await storage.claim(store, busy)
    answer = await ask(http, "GET", "/api/workers")
    assert answer.status == 200
    first, second = answer.json["workers"]
    assert (first["name"], first["running"], first["slots"]) == ("busy", 3, 4)
    assert first["queues"] == ["p", "q"]
    assert (second["name"], second["running"], second["draining"]) == ("idle", 0, False)
    assert answer.json["next"] is None
    page = await ask(http, "GET", "/api/workers?limit=1")
    assert [each["name"] for each in page.json["workers"]] == ["busy"]
    after = await ask(http, "GET", f"/api/workers?cursor={page.json['next']}")
    assert [each["name"] for each in after.json["workers"]] == ["idle"]
    assert (await ask(http, "GET", "/api/workers?cursor=x")).fields == ["cursor"]
