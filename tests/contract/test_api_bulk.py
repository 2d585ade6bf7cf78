"""Acts by filter over HTTP: what they find, dry runs, pages, and what is refused."""

from collections.abc import Mapping
from typing import Any

import aiohttp
import pytest

from tests.support import ledger, storage
from tests.support.http import Answer, ask
from tidemill.models import NewTask
from tidemill.states import Outcome
from tidemill.store import Store

ACTS: dict[str, dict[str, Any]] = {
    "/api/tasks/cancel": {},
    "/api/tasks/retry": {},
    "/api/tasks/delete": {},
    "/api/tasks/reprioritise": {"priority": 7},
    "/api/tasks/move": {"queue": "elsewhere"},
    "/api/dead-letters/replay": {},
    "/api/dead-letters/purge": {},
}
NOTHING = {"changed": 0, "requested": 0, "refused": 0, "key_taken": 0, "missing": 0, "next": None}


async def post(http: aiohttp.ClientSession, path: str, **body: Any) -> Answer:
    return await ask(http, "POST", path, json=ACTS[path] | body)


async def fill(store: Store, count: int = 3) -> None:
    """Enqueue tasks of types a and b into the queues p and q, some for later, some failed."""
    worker = await storage.worker(store)
    await store.tasks.enqueue([NewTask(type="bad", queue="p", max_retries=0)] * count)
    claimed = await storage.claim(store, worker)
    error = {"type": "ValueError", "message": "no"}
    await store.leases.finish(storage.ends(claimed, Outcome.FAILED, error=error))
    tasks = [
        NewTask(type=kind, queue=queue, delay_seconds=delay)
        for kind in ("a", "b")
        for queue in ("p", "q")
        for delay in (None, 600)
        for _ in range(count)
    ]
    await store.tasks.enqueue(tasks)


async def statuses(store: Store) -> dict[str, int]:
    rows = await store.db.fetch(
        "SELECT status, count(*) AS count FROM tidemill.task_status GROUP BY status"
    )
    return {row["status"]: row["count"] for row in rows}


async def doomed(store: Store, path: str) -> Mapping[str, int]:
    """Return what the history of the tasks counts up to that an act on all of them deletes."""
    statuses = {"/api/tasks/delete": None, "/api/dead-letters/purge": "failed"}
    if path not in statuses:
        return {}
    rows = await store.db.fetch(
        "SELECT id FROM tidemill.task_status WHERE $1::text IS NULL OR status = $1", statuses[path]
    )
    return await ledger.flows(store.db, [row["id"] for row in rows])


@pytest.mark.parametrize("path", ACTS)
async def test_a_dry_run_counts_and_changes_nothing(
    http: aiohttp.ClientSession, store: Store, path: str
) -> None:
    await fill(store)
    before = await statuses(store)
    answer = await post(http, path, filter={"queue": "p"}, dry_run=True)
    assert answer.status == 200
    failed, waiting = 3, 12
    matched = {"/api/tasks/cancel": waiting, "/api/tasks/delete": failed + waiting}
    if path.startswith("/api/dead-letters"):
        matched[path] = failed
    elif path == "/api/tasks/retry":
        matched[path] = failed + waiting // 2
    assert answer.json == NOTHING | {"matched": matched.get(path, waiting)}
    assert await statuses(store) == before


@pytest.mark.parametrize("path", ACTS)
async def test_an_empty_filter_must_be_asked_for(
    http: aiohttp.ClientSession, store: Store, path: str
) -> None:
    await fill(store)
    refused = await post(http, path, filter={})
    assert (refused.status, refused.fields) == (400, ["filter"])
    refused = await post(http, path)
    assert (refused.status, refused.fields) == (400, ["filter"])
    both = await post(http, path, filter={"queue": "p"}, all=True)
    assert (both.status, both.fields) == (400, ["all"])
    assert (await statuses(store))["failed"] == 3
    forgotten = await doomed(store, path)
    answer = await post(http, path, filter={}, all=True)
    assert answer.status == 200
    assert answer.json["changed"] == answer.json["matched"] > 0
    await ledger.balance(store, forgotten)


@pytest.mark.parametrize("path", ACTS)
async def test_every_fault_is_named(http: aiohttp.ClientSession, path: str) -> None:
    body: dict[str, Any] = {
        "filter": {"queue": "?", "type": 1, "priority": "urgent", "created_after": "soon", "x": 1},
        "dry_run": 1,
        "limit": 0,
        "after": "none",
        "colour": "red",
    }
    body["filter"]["created_before"] = "2030-01-01T00:00:00"
    if path.startswith("/api/tasks"):
        body["filter"]["status"] = "odd"
    answer = await post(http, path, **body)
    assert answer.status == 400
    names = [f"filter.{name}" for name in body["filter"]]
    assert sorted(answer.fields) == sorted([*names, "dry_run", "limit", "after", "colour"])
    for bad in (b"", b"[]", b"null", b"{", b'{"filter": null}', b'{"filter": {}, "filter": {}}'):
        broken = await ask(
            http, "POST", path, data=bad, headers={"Content-Type": "application/json"}
        )
        assert broken.status == 400
    assert (await ask(http, "POST", path, data=b"{}")).status == 415


async def test_what_an_act_needs_is_required(http: aiohttp.ClientSession) -> None:
    for path, field in (("/api/tasks/move", "queue"), ("/api/tasks/reprioritise", "priority")):
        answer = await ask(http, "POST", path, json={"filter": {"queue": "p"}})
        assert (answer.status, answer.fields) == (400, [field])
    answer = await ask(
        http, "POST", "/api/dead-letters/purge", json={"filter": {"status": "failed"}}
    )
    assert (answer.status, answer.fields) == (400, ["filter.status"])


async def test_a_limit_gives_a_mark_that_leads_on(
    http: aiohttp.ClientSession, store: Store
) -> None:
    await store.tasks.enqueue([NewTask(type="t")] * 25)
    changed: list[int] = []
    after = None
    while True:
        answer = await post(
            http, "/api/tasks/reprioritise", filter={"type": "t"}, limit=10, after=after
        )
        changed.append(answer.json["changed"])
        after = answer.json["next"]
        if after is None:
            break
    assert changed == [10, 10, 5]
    rows = await store.db.fetch("SELECT DISTINCT priority FROM tidemill.ready")
    assert [row["priority"] for row in rows] == [7]


async def test_cancel_tells_workers_of_what_runs(http: aiohttp.ClientSession, store: Store) -> None:
    worker = await storage.worker(store)
    await storage.enqueue(store, 2)
    await storage.claim(store, worker)
    await storage.enqueue(store, 3)
    answer = await post(http, "/api/tasks/cancel", filter={"type": "t"})
    assert answer.json == NOTHING | {"matched": 5, "changed": 3, "requested": 2}
    await ledger.balance(store)


async def test_move_makes_the_queue_and_priorities_have_names(
    http: aiohttp.ClientSession, store: Store
) -> None:
    await fill(store)
    answer = await post(http, "/api/tasks/move", filter={"queue": "p", "type": "a"})
    assert answer.json["changed"] == 6
    shown = await ask(http, "GET", "/api/tasks", params={"queue": "elsewhere"})
    assert len(shown.json["tasks"]) == 6
    answer = await post(
        http, "/api/tasks/reprioritise", filter={"queue": "elsewhere"}, priority="high"
    )
    assert answer.json["changed"] == 6
    answer = await post(http, "/api/tasks/cancel", filter={"priority": "high", "status": "queued"})
    assert answer.json["changed"] == 3
    await ledger.balance(store)


async def test_times_bound_what_is_found(http: aiohttp.ClientSession, store: Store) -> None:
    first, second, third = [(await storage.enqueue(store))[0] for _ in range(3)]
    between = {
        "created_after": second.created_at.isoformat(),
        "created_before": third.created_at.isoformat(),
    }
    answer = await post(http, "/api/tasks/cancel", filter=between)
    assert answer.json["changed"] == 1
    assert (await ask(http, "GET", f"/api/tasks/{second.id}")).json["status"] == "cancelled"
    assert (await ask(http, "GET", f"/api/tasks/{first.id}")).json["status"] == "queued"
