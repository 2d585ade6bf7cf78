"""Payloads against the JSON Schema of their registered type; unknown types."""

from typing import Any

import aiohttp
import pytest

from tests.contract.conftest import Start
from tests.support import postgres
from tests.support.http import Answer, ask, enqueue
from tidemill.models import TaskType
from tidemill.store import Store

EMAIL = {
    "type": "object",
    "properties": {
        "to": {"type": "string", "minLength": 3},
        "subject": {"type": "string"},
        "copies": {"type": "array", "items": {"type": "string"}},
        "tries": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    },
    "required": ["to", "subject"],
    "additionalProperties": False,
}
GOOD = {"to": "a@b", "subject": "s"}


@pytest.fixture
async def strict(start_api: Start, database_url: str) -> aiohttp.ClientSession:
    """A server that rejects unknown types."""
    return await start_api(postgres.settings_of(database_url, unknown_types="reject"))


async def register(store: Store, name: str, schema: dict[str, Any] | None) -> None:
    await store.types.register([TaskType(name=name, schema=schema)], app="tests")


async def send(http: aiohttp.ClientSession, payload: object) -> Answer:
    return await enqueue(http, type="send_email", payload=payload)


PAYLOADS: list[tuple[Any, list[str]]] = [
    ({"to": "a@b"}, ["payload.subject"]),
    ({}, ["payload.subject", "payload.to"]),
    ({**GOOD, "to": 3}, ["payload.to"]),
    ({**GOOD, "to": "x"}, ["payload.to"]),
    ({**GOOD, "cc": 1, "b c": 2}, ["payload.cc", 'payload["b c"]']),
    ({**GOOD, "copies": ["a", 2, "c", 4]}, ["payload.copies[1]", "payload.copies[3]"]),
    ({**GOOD, "tries": "many"}, ["payload.tries"]),
    ([], ["payload"]),
    (None, ["payload"]),
]


async def test_faults_of_a_payload_are_named(strict: aiohttp.ClientSession, store: Store) -> None:
    await register(store, "send_email", EMAIL)
    for payload, fields in PAYLOADS:
        answer = await send(strict, payload)
        assert (answer.status, sorted(answer.fields)) == (400, fields), payload


async def test_a_good_payload_passes(strict: aiohttp.ClientSession, store: Store) -> None:
    await register(store, "send_email", EMAIL)
    assert (await send(strict, GOOD)).status == 201
    assert (await send(strict, {**GOOD, "tries": None, "copies": []})).status == 201


async def test_a_batch_names_the_payloads_place(
    strict: aiohttp.ClientSession, store: Store
) -> None:
    await register(store, "send_email", EMAIL)
    tasks = [{"type": "send_email", "payload": GOOD} for _ in range(5)]
    tasks[3] = {"type": "send_email", "payload": {"subject": "s"}}
    answer = await ask(strict, "POST", "/api/tasks/batch", json=tasks)
    assert (answer.status, answer.fields) == (400, ["tasks[3].payload.to"])
    assert (await store.stats.stats()).counts.total_tasks == 0


async def test_an_unknown_type_is_refused_where_types_are_enforced(
    strict: aiohttp.ClientSession,
) -> None:
    answer = await send(strict, GOOD)
    assert (answer.status, answer.fields) == (400, ["type"])
    assert answer.json["type"] == "urn:tidemill:problem:unknown-type"
    batch = [{"type": "send_email"}, {"type": "other"}]
    answer = await ask(strict, "POST", "/api/tasks/batch", json=batch)
    assert (answer.status, answer.fields) == (400, ["tasks[0].type", "tasks[1].type"])


async def test_an_unknown_type_passes_where_they_are_not(http: aiohttp.ClientSession) -> None:
    assert (await send(http, {"anything": 1})).status == 201


async def test_a_type_registered_just_now_is_known_at_once(
    strict: aiohttp.ClientSession, store: Store
) -> None:
    for n in range(5):
        assert (await enqueue(strict, type=f"late_{n}")).status == 400
        await register(store, f"late_{n}", None)
        assert (await enqueue(strict, type=f"late_{n}")).status == 201


async def test_a_queue_may_reject_where_the_server_accepts(
    http: aiohttp.ClientSession, store: Store
) -> None:
    assert (await enqueue(http, queue="strict")).status == 201
    await store.types._db.execute("UPDATE tidemill.queues SET unknown_types = 'reject'")
    answer = await enqueue(http, queue="strict")
    assert (answer.status, answer.fields) == (400, ["type"])


async def test_a_types_defaults_show_in_the_answer(
    strict: aiohttp.ClientSession, store: Store
) -> None:
    kind = TaskType(
        name="send_email", queue="mail", priority=7, max_retries=9, timeout_seconds=12.5
    )
    await store.types.register([kind], app="tests")
    task = (await send(strict, GOOD)).json
    assert (task["queue"], task["priority"]) == ("mail", 7)
    assert (task["max_retries"], task["timeout_seconds"]) == (9, 12.5)
    task = (await enqueue(strict, type="send_email", priority=0, queue="other")).json
    assert (task["queue"], task["priority"]) == ("other", 0)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "no-such-type"},
        {"$ref": "http://127.0.0.1:1/schema.json"},
        {"$ref": "#/nowhere"},
        {"$ref": "#"},
        {"$id": "http://[", "properties": {"a": {"$ref": "x"}}},
        {"properties": {"a": {"multipleOf": 0.1}}},
    ],
)
async def test_a_schema_that_cannot_be_used_refuses_and_says_so(
    strict: aiohttp.ClientSession, store: Store, schema: dict[str, Any]
) -> None:
    await register(store, "send_email", schema)
    answer = await send(strict, {"a": 10**400})
    assert (answer.status, answer.fields) == (400, ["payload"])
    assert "JSON Schema of type send_email" in answer.json["faults"][0]["rule"]
