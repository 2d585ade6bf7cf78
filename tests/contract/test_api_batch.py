"""POST /api/tasks/batch: all or nothing, in three notations."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.contract.conftest import Start
from tests.support import postgres
from tests.support.http import Answer, ask, post_raw
from tidemill.db import Database
from tidemill_api import texts

NDJSON = "application/x-ndjson"


async def batch(http: aiohttp.ClientSession, tasks: Any) -> Answer:
    return await ask(http, "POST", "/api/tasks/batch", json=tasks)


async def stored(db: Database) -> int:
    return int(await db.fetchval("SELECT count(*) FROM tidemill.tasks"))


def lines(*tasks: Any) -> bytes:
    return b"\n".join(json.dumps(task).encode() for task in tasks)


@pytest.mark.parametrize("notation", ["array", "object", "ndjson"])
async def test_a_batch_is_stored_and_answered_in_order(
    http: aiohttp.ClientSession, db: Database, notation: str
) -> None:
    tasks = [{"type": f"t{n}", "payload": n, "delay_seconds": 60 * (n % 2)} for n in range(20)]
    if notation == "ndjson":
        answer = await post_raw(http, lines(*tasks) + b"\n\n", "/api/tasks/batch", NDJSON)
    else:
        answer = await batch(http, tasks if notation == "array" else {"tasks": tasks})
    assert answer.status == 201
    assert (answer.json["created"], answer.json["existing"]) == (20, 0)
    entries = answer.json["tasks"]
    assert [entry["type"] for entry in entries] == [f"t{n}" for n in range(20)]
    assert [entry["status"] for entry in entries] == ["queued", "scheduled"] * 10
    assert {entry["created"] for entry in entries} == {True}
    for n in (0, 7, 19):
        read = await ask(http, "GET", f"/api/tasks/{entries[n]['id']}")
        assert (read.json["type"], read.json["payload"]) == (f"t{n}", n)
    assert await stored(db) == 20


async def test_one_bad_member_stores_nothing_and_is_named(
    http: aiohttp.ClientSession, db: Database
) -> None:
    tasks: list[Any] = [{"type": "t"} for _ in range(10)]
    tasks[3] = {"type": "t", "priority": "urgent", "retry": {"factor": 0}}
    tasks[7] = "not a task"
    tasks[8] = {}
    answer = await batch(http, tasks)
    assert answer.status == 400
    assert answer.fields == [
        "tasks[3].priority",
        "tasks[3].retry.factor",
        "tasks[7]",
        "tasks[8].type",
    ]
    assert await stored(db) == 0


async def test_a_bad_line_of_ndjson_is_named(http: aiohttp.ClientSession, db: Database) -> None:
    data = lines({"type": "t"}) + b'\n{"type":\n' + lines({"type": "t"}) + b'\n{"a":1,"a":2}'
    answer = await post_raw(http, data, "/api/tasks/batch", NDJSON)
    assert answer.status == 400
    assert answer.fields == ["tasks[1]", "tasks[3]"]
    assert await stored(db) == 0


async def test_what_is_no_batch(http: aiohttp.ClientSession) -> None:
    values: list[Any] = [[], {"tasks": []}, {}, {"tasks": {}}, None, 3, "x", [[]]]
    for value in [*values, {"tasks": [None]}]:
        answer = await post_raw(http, json.dumps(value).encode(), "/api/tasks/batch")
        assert answer.status == 400
        assert answer.fields[0].startswith("tasks")


async def test_an_unknown_field_beside_tasks_is_refused(http: aiohttp.ClientSession) -> None:
    answer = await batch(http, {"tasks": [{"type": "t"}], "queue": "q"})
    assert (answer.status, answer.fields) == (400, ["queue"])


async def test_ten_thousand_pass_and_one_more_does_not(
    http: aiohttp.ClientSession, db: Database
) -> None:
    tasks = [{"type": "t", "payload": {"n": n}} for n in range(10_001)]
    for data, kind in ((json.dumps(tasks).encode(), "application/json"), (lines(*tasks), NDJSON)):
        answer = await post_raw(http, data, "/api/tasks/batch", kind)
        assert (answer.status, answer.fields) == (400, ["tasks"])
    answer = await batch(http, tasks[:-1])
    assert (answer.status, answer.json["created"]) == (201, 10_000)
    assert await stored(db) == 10_000


async def test_known_keys_are_answered_beside_new_tasks(
    http: aiohttp.ClientSession, db: Database
) -> None:
    first = (await batch(http, [{"type": "t", "idempotency_key": "a"}])).json["tasks"][0]
    answer = await batch(
        http,
        [
            {"type": "t", "idempotency_key": "a"},
            {"type": "t"},
            {"type": "t", "idempotency_key": "b"},
            {"type": "t", "idempotency_key": "b"},
        ],
    )
    assert answer.status == 201
    entries = answer.json["tasks"]
    assert [entry["created"] for entry in entries] == [False, True, True, False]
    assert entries[0]["id"] == first["id"]
    assert entries[2]["id"] == entries[3]["id"]
    assert await stored(db) == 3

    again = await batch(http, [{"type": "t", "idempotency_key": key} for key in "ab"])
    assert (again.status, again.json["created"], again.json["existing"]) == (200, 0, 2)


async def test_one_key_conflict_refuses_the_whole_batch(
    http: aiohttp.ClientSession, db: Database
) -> None:
    await batch(http, [{"type": "t", "idempotency_key": "k", "payload": 1}])
    answer = await batch(http, [{"type": "t"}, {"type": "t", "idempotency_key": "k", "payload": 2}])
    assert answer.status == 409
    assert "tasks[1].idempotency_key" in answer.json["detail"]
    assert await stored(db) == 1


async def test_the_header_is_for_single_tasks(http: aiohttp.ClientSession) -> None:
    headers = {"Idempotency-Key": "k"}
    answer = await ask(http, "POST", "/api/tasks/batch", json=[{"type": "t"}], headers=headers)
    assert (answer.status, answer.fields) == (400, ["Idempotency-Key"])


async def test_a_large_payload_in_a_batch_is_named(start_api: Start, database_url: str) -> None:
    http = await start_api(postgres.settings_of(database_url, max_payload_bytes=1000))
    tasks = [{"type": "t", "payload": "x" * size} for size in (10, 998, 999)]
    answer = await batch(http, tasks)
    assert (answer.status, answer.fields) == (413, ["tasks[2].payload"])


async def test_a_smaller_limit_of_tasks(start_api: Start, database_url: str) -> None:
    http = await start_api(postgres.settings_of(database_url, max_batch_tasks=2))
    assert (await batch(http, [{"type": "t"}] * 2)).status == 201
    assert (await batch(http, [{"type": "t"}] * 3)).status == 400


async def test_other_requests_are_answered_while_a_large_batch_is_checked(
    http: aiohttp.ClientSession,
) -> None:
    tasks = [{"type": "t", "payload": {"n": n}} for n in range(10_000)]
    working = asyncio.create_task(batch(http, tasks))
    answered = 0
    while not working.done():
        assert (await ask(http, "GET", "/healthz")).status == 200
        answered += 1
    assert (await working).status == 201
    assert answered > 3


@pytest.mark.parametrize("announced", [True, False])
async def test_an_array_past_its_limit_is_told_of_lines(
    http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch, announced: bool
) -> None:
    monkeypatch.setattr(texts, "most_bytes", lambda _: 1000)

    async def pieces(data: bytes) -> AsyncIterator[bytes]:
        yield data

    large = b"[" + b" " * 1000 + b"]"
    headers = {"Content-Type": "application/json"}
    data = large if announced else pieces(large)
    answer = await ask(http, "POST", "/api/tasks/batch", data=data, headers=headers)
    assert (answer.status, answer.fields) == (413, ["body"])
    assert answer.json["detail"] == (
        "body: must have at most 1000 bytes of JSON, "
        "and 67108864 as application/x-ndjson, one task a line"
    )
