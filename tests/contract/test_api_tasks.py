"""POST /api/tasks, GET /api/tasks/{id} and its history."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from tests.support.http import ask, enqueue
from tidemill.db import Database

FIELDS = {
    "id",
    "name",
    "type",
    "queue",
    "status",
    "priority",
    "payload",
    "retry_count",
    "max_retries",
    "created_at",
    "run_at",
    "started_at",
    "completed_at",
    "last_error",
    "result",
}


async def test_a_new_task_is_answered_whole_and_read_back_the_same(
    http: aiohttp.ClientSession,
) -> None:
    made = await enqueue(http, payload={"to": "a@b.c", "n": [1, 2.5, None, True, "é"]})
    assert made.status == 201
    assert made.json.keys() >= FIELDS
    assert made.headers["Location"] == f"/api/tasks/{made.json['id']}"
    assert made.json["status"] == "queued"
    assert made.json["payload"] == {"to": "a@b.c", "n": [1, 2.5, None, True, "é"]}

    read = await ask(http, "GET", made.headers["Location"])
    assert read.status == 200
    assert read.json == made.json


async def test_what_is_left_out_gets_the_documented_default(http: aiohttp.ClientSession) -> None:
    task = (await enqueue(http)).json
    assert task["payload"] == {}
    assert (task["queue"], task["priority"]) == ("default", 0)
    assert (task["max_retries"], task["timeout_seconds"]) == (3, 300)
    assert (task["name"], task["idempotency_key"], task["last_error"]) == (None, None, None)


async def test_every_field_comes_back(http: aiohttp.ClientSession, db: Database) -> None:
    given = {
        "name": "Nightly ünicode",
        "queue": "emails",
        "priority": -32768,
        "max_retries": 0,
        "timeout_seconds": 1.5,
        "retry": {"policy": "list", "delays_seconds": [1, 5.5]},
        "idempotency_key": "k-1",
        "idempotency_ttl_seconds": 60,
        "expires_at": "2198-01-01T00:00:00Z",
        "headers": {"traceparent": "00-abc-def-01"},
    }
    made = await enqueue(http, payload=[1], **given)
    assert made.status == 201
    read = (await ask(http, "GET", made.headers["Location"])).json
    assert read == made.json
    for name in given.keys() - {"idempotency_ttl_seconds"}:
        assert read[name] == given[name], name
    seconds = await db.fetchval(
        "SELECT extract(epoch FROM expires_at - now()) FROM tidemill.idempotency_keys"
    )
    assert 0 < seconds <= 60


async def test_named_priorities(http: aiohttp.ClientSession) -> None:
    for named, number in (("low", -100), ("default", 0), ("high", 100)):
        assert (await enqueue(http, priority=named)).json["priority"] == number


async def test_a_payload_is_any_json_value(http: aiohttp.ClientSession) -> None:
    values: list[Any] = [None, False, 0, -0.5, "", "text", [], [[]], {}, {"": {"": ""}}]
    for payload in [*values, 10**30, "\U0001f40b", "a\\u0000b"]:
        made = await enqueue(http, payload=payload)
        assert made.status == 201
        assert (await ask(http, "GET", made.headers["Location"])).json["payload"] == payload


async def test_a_delayed_task_is_scheduled(http: aiohttp.ClientSession) -> None:
    task = (await enqueue(http, delay_seconds=3600)).json
    assert task["status"] == "scheduled"
    wait = datetime.fromisoformat(task["run_at"]) - datetime.fromisoformat(task["created_at"])
    assert wait == timedelta(hours=1)
    assert (await ask(http, "GET", f"/api/tasks/{task['id']}")).json == task


async def test_run_at_in_another_zone_is_shown_in_utc(http: aiohttp.ClientSession) -> None:
    task = (await enqueue(http, run_at="2190-06-01T14:00:00+02:00")).json
    assert task["status"] == "scheduled"
    assert task["run_at"] == "2190-06-01T12:00:00Z"


async def test_a_past_run_at_is_queued_at_once(http: aiohttp.ClientSession) -> None:
    past = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    assert (await enqueue(http, run_at=past)).json["status"] == "queued"


async def test_null_counts_as_absent(http: aiohttp.ClientSession) -> None:
    made = await enqueue(http, queue=None, priority=None, run_at=None, delay_seconds=None)
    assert made.status == 201


async def test_fifty_at_once_are_fifty_tasks(http: aiohttp.ClientSession, db: Database) -> None:
    answers = await asyncio.gather(*(enqueue(http, payload={"n": n}) for n in range(50)))
    assert {answer.status for answer in answers} == {201}
    ids = {answer.json["id"] for answer in answers}
    assert len(ids) == 50
    assert await db.fetchval("SELECT count(*) FROM tidemill.tasks") == 50
    assert await db.fetchval("SELECT count(*) FROM tidemill.ready") == 50
    for answer in answers[:5]:
        read = await ask(http, "GET", answer.headers["Location"])
        assert read.json["payload"] == answer.json["payload"]


async def test_the_history_of_a_new_task(http: aiohttp.ClientSession) -> None:
    made = (await enqueue(http)).json
    events = (await ask(http, "GET", f"/api/tasks/{made['id']}/history")).json
    assert [(e["event_type"], e["status"]) for e in events] == [("task_queued", "queued")]
    assert events[0]["created_at"] == made["created_at"]
    assert events[0].keys() >= {"worker_id", "attempt", "error"}


async def test_the_history_of_a_delayed_task(http: aiohttp.ClientSession) -> None:
    made = (await enqueue(http, delay_seconds=60)).json
    events = (await ask(http, "GET", f"/api/tasks/{made['id']}/history")).json
    assert [e["event_type"] for e in events] == ["task_scheduled"]


async def test_no_such_task_is_404(http: aiohttp.ClientSession) -> None:
    for name in (str(uuid.UUID(int=7)), "7", "nonsense", "%00", "%ff", "a" * 4000):
        for tail in ("", "/history"):
            answer = await ask(http, "GET", f"/api/tasks/{name}{tail}")
            assert answer.status == 404
            assert answer.json["type"] == "urn:tidemill:problem:task-not-found"


async def test_an_id_in_capitals_is_the_same_id(http: aiohttp.ClientSession) -> None:
    made = (await enqueue(http)).json
    read = await ask(http, "GET", f"/api/tasks/{made['id'].upper()}")
    assert read.json["id"] == made["id"]
