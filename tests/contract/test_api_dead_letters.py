"""Dead letters over HTTP: the list, replay, deletion, purge."""

from typing import Any
from uuid import UUID

import aiohttp
import pytest

from tests.support import ledger, storage
from tests.support.http import ask, enqueue
from tidemill.models import NewTask
from tidemill.states import Outcome
from tidemill.store import Store


async def dead(store: Store, *, kind: str = "ValueError", **fields: Any) -> UUID:
    """Return a task that failed for good."""
    (made,) = await store.tasks.enqueue([NewTask(**({"type": "t"} | fields))])
    claimed = await storage.claim(store, await storage.worker(store))
    error = {"type": kind, "message": "first line\nsecond"}
    await store.leases.finish(storage.ends(claimed, Outcome.FAILED, error=error))
    assert [task.id for task in claimed] == [made.id]
    return made.id


async def listed(http: aiohttp.ClientSession, **params: Any) -> list[str]:
    """Return the ids of all pages."""
    found: list[str] = []
    asked = dict(params)
    while True:
        answer = await ask(http, "GET", "/api/dead-letters", params=asked)
        assert answer.status == 200
        found += [letter["task_id"] for letter in answer.json["dead_letters"]]
        if answer.json["next"] is None:
            return found
        asked["cursor"] = answer.json["next"]


async def test_the_list_shows_the_latest_failure_first(
    http: aiohttp.ClientSession, store: Store
) -> None:
    made = [str(await dead(store, queue=f"q{n % 2}", name=f"n{n}")) for n in range(5)]
    await storage.enqueue(store)
    for limit in (1, 2, 5, 100):
        assert await listed(http, limit=limit) == made[::-1]
    (latest, *_) = (await ask(http, "GET", "/api/dead-letters")).json["dead_letters"]
    assert {name: latest[name] for name in latest if name != "failed_at"} == {
        "task_id": made[-1],
        "queue": "q0",
        "type": "t",
        "name": "n4",
        "retry_count": 0,
        "crash_count": 0,
        "error_type": "ValueError",
        "error": "ValueError: first line",
    }


async def test_filters_hold_together(http: aiohttp.ClientSession, store: Store) -> None:
    one = await dead(store, type="a", queue="p", kind="KeyError")
    await dead(store, type="a", queue="q", kind="KeyError")
    await dead(store, type="b", queue="p", kind="KeyError")
    await dead(store, type="a", queue="p", kind="OSError")
    assert await listed(http, type="a", queue="p", error_type="KeyError") == [str(one)]
    assert len(await listed(http, error_type="KeyError", limit=1)) == 3
    assert await listed(http, queue="none") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=x", "limit"),
        ("cursor=1", "cursor"),
        ("cursor=253402300800000000.00000000-0000-0000-0000-000000000000", "cursor"),
        ("cursor=1.------------------------------------", "cursor"),
        ("queue=%3F", "queue"),
        ("status=failed", "status"),
        ("limit=1&limit=2", "limit"),
        ("error_type=", "error_type"),
        ("error_type=%00", "error_type"),
    ],
)
async def test_a_query_that_cannot_work_is_named(
    http: aiohttp.ClientSession, query: str, field: str
) -> None:
    answer = await ask(http, "GET", f"/api/dead-letters?{query}")
    assert (answer.status, answer.fields) == (400, [field])


async def test_replay_runs_it_again_and_only_a_failed_task_is_replayed(
    http: aiohttp.ClientSession, store: Store
) -> None:
    letter = f"/api/dead-letters/{await dead(store)}"
    answer = await ask(http, "POST", f"{letter}/replay")
    assert (answer.status, answer.json["status"]) == (200, "queued")
    assert await listed(http) == []
    again = await ask(http, "POST", f"{letter}/replay")
    assert again.status == 409
    assert "is queued: only a failed task is a dead letter" in again.json["detail"]
    delayed = (await enqueue(http, delay_seconds=600)).json["id"]
    refused = await ask(http, "POST", f"/api/dead-letters/{delayed}/replay")
    assert refused.status == 409
    assert "is scheduled: " in refused.json["detail"]
    assert (await ask(http, "GET", f"/api/tasks/{delayed}")).json["status"] == "scheduled"
    await ledger.balance(store)


async def test_deletion_takes_the_task_and_only_a_failed_one(
    http: aiohttp.ClientSession, store: Store
) -> None:
    task_id = await dead(store)
    waiting = (await enqueue(http)).json["id"]
    assert (await ask(http, "DELETE", f"/api/dead-letters/{task_id}")).status == 204
    assert (await ask(http, "GET", f"/api/tasks/{task_id}")).status == 404
    assert (await ask(http, "DELETE", f"/api/dead-letters/{task_id}")).status == 404
    assert (await ask(http, "DELETE", f"/api/dead-letters/{waiting}")).status == 409
    assert (await ask(http, "GET", f"/api/tasks/{waiting}")).json["status"] == "queued"


async def test_replay_and_purge_by_filter(http: aiohttp.ClientSession, store: Store) -> None:
    for kind in ("KeyError", "OSError", "OSError"):
        await dead(store, kind=kind, delay_seconds=None)
    await storage.enqueue(store, delay_seconds=600)
    some = {"filter": {"error_type": "OSError"}}
    replayed = await ask(http, "POST", "/api/dead-letters/replay", json=some)
    assert (replayed.json["matched"], replayed.json["changed"]) == (2, 2)
    purged = await ask(http, "POST", "/api/dead-letters/purge", json={"filter": {"type": "t"}})
    assert (purged.json["matched"], purged.json["changed"]) == (1, 1)
    assert await listed(http) == []
    assert await storage.count(store.db, "tasks") == 3


async def test_replay_takes_the_key_back_unless_another_task_holds_it(
    http: aiohttp.ClientSession, store: Store
) -> None:
    failed = [await dead(store, idempotency_key="k") for _ in range(2)]
    first, second = (f"/api/dead-letters/{task_id}" for task_id in failed)
    assert (await ask(http, "POST", f"{first}/replay")).status == 200
    known = await enqueue(http, idempotency_key="k")
    assert (known.status, known.json["id"]) == (200, str(failed[0]))
    for path in (f"{second}/replay", f"/api/tasks/{failed[1]}/retry"):
        refused = await ask(http, "POST", path)
        assert refused.status == 409
        assert "another task holds its idempotency key" in refused.json["detail"]
    bulk = await ask(http, "POST", "/api/dead-letters/replay", json={"filter": {}, "all": True})
    assert (bulk.json["matched"], bulk.json["changed"], bulk.json["key_taken"]) == (1, 0, 1)
    await ledger.balance(store)
