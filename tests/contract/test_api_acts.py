"""Acts on one task over HTTP: cancel, retry, delete, and what each status answers."""

from typing import Any
from uuid import UUID

import aiohttp
import pytest

from tests.support import ledger, storage
from tests.support.http import Answer, ask, enqueue
from tidemill.models import ClaimedTask, WorkerIdentity
from tidemill.states import Outcome, Status
from tidemill.store import Store

NOBODY = "00000000-0000-7000-8000-000000000000"
ENDS = {
    Status.SUCCEEDED: Outcome.SUCCEEDED,
    Status.FAILED: Outcome.FAILED,
    Status.CANCELLED: Outcome.CANCELLED,
}


async def running(http: aiohttp.ClientSession, store: Store, **fields: Any) -> ClaimedTask:
    """Return the claim of a task that was just enqueued."""
    made = await enqueue(http, **fields)
    (claimed,) = await storage.claim(store, await storage.worker(store))
    assert str(claimed.id) == made.json["id"]
    return claimed


async def task_in(http: aiohttp.ClientSession, store: Store, status: Status, **fields: Any) -> str:
    """Return the path of a task in `status`."""
    if status is Status.QUEUED:
        made = await enqueue(http, **fields)
        return f"/api/tasks/{made.json['id']}"
    if status is Status.SCHEDULED:
        made = await enqueue(http, delay_seconds=600, **fields)
        return f"/api/tasks/{made.json['id']}"
    claimed = await running(http, store, **fields)
    if status in ENDS:
        await store.leases.finish(storage.ends([claimed], ENDS[status]))
    return f"/api/tasks/{claimed.id}"


def is_refusal(answer: Answer, status: Status) -> None:
    assert answer.status == 409
    assert answer.json["type"] == "urn:tidemill:problem:conflict"
    assert f" is {status}: " in answer.json["detail"]


@pytest.mark.parametrize("status", [Status.QUEUED, Status.SCHEDULED])
async def test_cancel_of_what_waits_is_done_at_once(
    http: aiohttp.ClientSession, store: Store, status: Status
) -> None:
    task = await task_in(http, store, status)
    answer = await ask(http, "POST", f"{task}/cancel")
    assert (answer.status, answer.json["status"]) == (200, "cancelled")
    assert answer.json == (await ask(http, "GET", task)).json
    *_, last = (await ask(http, "GET", f"{task}/history")).json
    assert (last["event_type"], last["actor"]) == ("task_cancelled", "api")
    is_refusal(await ask(http, "POST", f"{task}/cancel"), Status.CANCELLED)
    await ledger.balance(store)


async def test_cancel_of_what_runs_is_asked_of_its_worker(
    http: aiohttp.ClientSession, store: Store
) -> None:
    task = await task_in(http, store, Status.RUNNING)
    answer = await ask(http, "POST", f"{task}/cancel")
    assert (answer.status, answer.json["status"]) == (202, "running")
    assert answer.json["cancel_requested_at"]
    again = await ask(http, "POST", f"{task}/cancel")
    assert again.status == 202
    assert again.json["cancel_requested_at"] == answer.json["cancel_requested_at"]


async def test_retry_runs_a_scheduled_task_now(http: aiohttp.ClientSession, store: Store) -> None:
    task = await task_in(http, store, Status.SCHEDULED)
    answer = await ask(http, "POST", f"{task}/retry")
    assert (answer.status, answer.json["status"]) == (200, "queued")
    assert len(await storage.claim(store, await storage.worker(store))) == 1
    await ledger.balance(store)


async def test_retry_replays_a_failed_task_as_if_it_were_new(
    http: aiohttp.ClientSession, store: Store
) -> None:
    task = await task_in(http, store, Status.FAILED)
    answer = await ask(http, "POST", f"{task}/retry")
    assert (answer.status, answer.json["status"]) == (200, "queued")
    assert (answer.json["retry_count"], answer.json["crash_count"]) == (0, 0)
    *_, last = (await ask(http, "GET", f"{task}/history")).json
    assert (last["event_type"], last["actor"]) == ("task_replayed", "api")
    await ledger.balance(store)


@pytest.mark.parametrize("status", [s for s in Status if s is not Status.RUNNING])
async def test_delete_leaves_nothing(
    http: aiohttp.ClientSession, store: Store, status: Status
) -> None:
    task = await task_in(http, store, status, idempotency_key="k")
    forgotten = await ledger.flows(store.db, [UUID(task.rpartition("/")[2])])
    async with http.delete(task) as response:
        assert response.status == 204
        assert await response.read() == b""
    for method, path in (("GET", task), ("GET", f"{task}/history"), ("DELETE", task)):
        assert (await ask(http, method, path)).status == 404
    for table in ("tasks", "attempts", "ready", "scheduled", "dead_letters", "idempotency_keys"):
        assert await storage.count(store.db, table) == 0
    await ledger.balance(store, forgotten)


@pytest.mark.parametrize(
    ("act", "statuses"),
    [
        ("cancel", (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED)),
        ("retry", (Status.RUNNING, Status.SUCCEEDED, Status.CANCELLED, Status.QUEUED)),
        ("delete", (Status.RUNNING,)),
    ],
)
async def test_a_status_that_does_not_allow_the_act_is_named(
    http: aiohttp.ClientSession, store: Store, act: str, statuses: tuple[Status, ...]
) -> None:
    for status in statuses:
        task = await task_in(http, store, status)
        before = (await ask(http, "GET", task)).json
        if act == "delete":
            answer = await ask(http, "DELETE", task)
        else:
            answer = await ask(http, "POST", f"{task}/{act}")
        is_refusal(answer, status)
        assert (await ask(http, "GET", task)).json == before


@pytest.mark.parametrize(
    ("method", "tail"), [("POST", "/cancel"), ("POST", "/retry"), ("DELETE", "")]
)
@pytest.mark.parametrize("name", [NOBODY, "none", "%00", "é", f"{NOBODY}%2F", "1", "{id}"])
async def test_an_id_that_no_task_has_is_404(
    http: aiohttp.ClientSession, method: str, tail: str, name: str
) -> None:
    for start in ("/api/tasks", "/api/dead-letters"):
        if "dead" in start and tail in ("/cancel", "/retry"):
            tail = "/replay"
        answer = await ask(http, method, f"{start}/{name}{tail}")
        assert answer.status == 404
        assert answer.json["type"] == "urn:tidemill:problem:task-not-found"


async def test_an_act_takes_no_fields(http: aiohttp.ClientSession, store: Store) -> None:
    task = await task_in(http, store, Status.QUEUED)
    for body in (b'{"reason": "x"}', b"[]", b"null", b"x"):
        answer = await ask(http, "POST", f"{task}/cancel", data=body)
        assert (answer.status, answer.fields) == (400, ["body"])
    assert (await ask(http, "GET", task)).json["status"] == "queued"
    assert (await ask(http, "POST", f"{task}/cancel", json={})).status == 200


async def test_a_cancelled_task_is_not_run_and_its_key_is_free(
    http: aiohttp.ClientSession, store: Store
) -> None:
    task = await task_in(http, store, Status.QUEUED, idempotency_key="k")
    assert (await ask(http, "POST", f"{task}/cancel")).status == 200
    worker: WorkerIdentity = await storage.worker(store)
    assert await storage.claim(store, worker) == []
    assert (await enqueue(http, idempotency_key="k")).status == 201
