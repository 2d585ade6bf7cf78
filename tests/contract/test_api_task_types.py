"""Task types over HTTP: register, replace, forget, pause and resume."""

from typing import Any

import aiohttp
import pytest

from tests.support import storage
from tests.support.http import Answer, ask, enqueue
from tidemill.models import TaskType
from tidemill.store import Store
from tidemill.store.claimer import Claimer

SCHEMA = {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]}
ALL: dict[str, Any] = {
    "schema": SCHEMA,
    "description": "sends an e-mail",
    "queue": "emails",
    "priority": 5,
    "max_retries": 2,
    "timeout_seconds": 9.5,
    "retry": {"policy": "fixed", "base_seconds": 3},
}


async def put(http: aiohttp.ClientSession, name: str = "send", **fields: Any) -> Answer:
    return await ask(http, "PUT", f"/api/task-types/{name}", json=fields)


async def test_put_registers_then_replaces_the_whole(http: aiohttp.ClientSession) -> None:
    made = await put(http, **ALL)
    assert made.status == 201
    assert {name: made.json[name] for name in ALL if name != "retry"} == {
        name: value for name, value in ALL.items() if name != "retry"
    }
    assert made.json["retry"]["base_seconds"] == 3
    assert (made.json["name"], made.json["paused"], made.json["app"]) == ("send", False, "api")
    assert (await ask(http, "GET", "/api/task-types/send")).json == made.json
    replaced = await put(http, max_retries=1)
    assert replaced.status == 200
    assert {name: replaced.json[name] for name in ALL} == dict.fromkeys(ALL) | {"max_retries": 1}


async def test_a_schema_may_refer_to_its_own_parts(http: aiohttp.ClientSession) -> None:
    part = {"$defs": {"a": {"type": "integer"}, "b": {"$anchor": "it", "minimum": 3}}}
    fields = {"a": {"$ref": "#/$defs/a"}, "b": {"$ref": "#it"}, "self": {"$ref": "#"}}
    assert (await put(http, schema={**part, "properties": fields})).status == 201
    answer = await enqueue(http, type="send", payload={"self": {"a": "x", "b": 2}})
    assert set(answer.fields) == {"payload.self.a", "payload.self.b"}


async def test_its_schema_and_defaults_hold_for_tasks(http: aiohttp.ClientSession) -> None:
    await put(http, **ALL)
    assert (await enqueue(http, type="send", payload={"to": 1})).status == 400
    task = (await enqueue(http, type="send", payload={"to": "x"})).json
    assert (task["queue"], task["priority"], task["max_retries"]) == ("emails", 5, 2)


async def test_the_list_has_all_by_name(http: aiohttp.ClientSession, store: Store) -> None:
    await store.types.register([TaskType(name="b"), TaskType(name="a")], app="shop.tasks:app")
    await put(http, "c")
    types = (await ask(http, "GET", "/api/task-types")).json["task_types"]
    assert [each["name"] for each in types] == ["a", "b", "c"]
    assert [each["app"] for each in types] == ["shop.tasks:app", "shop.tasks:app", "api"]


@pytest.mark.parametrize(
    ("fields", "faults"),
    [
        ({"schema": {"type": "sting"}}, ["schema"]),
        ({"schema": {"$schema": 5}}, ["schema"]),
        ({"schema": {"$ref": "http://127.0.0.1:1/s.json"}}, ["schema"]),
        ({"schema": {"items": {"anyOf": [{"$ref": "#/$defs/gone"}]}}}, ["schema"]),
        ({"schema": {"$id": "http://[", "items": {"$ref": "x"}}}, ["schema"]),
        ({"schema": []}, ["schema"]),
        ({"queue": "?", "priority": 99999}, ["queue", "priority"]),
        ({"retry": {"policy": "list"}}, ["retry.delays_seconds"]),
        ({"colour": "x", "paused": True, "app": "y"}, ["colour", "paused", "app"]),
        ({"timeout_seconds": 0, "max_retries": 1.5}, ["timeout_seconds", "max_retries"]),
    ],
)
async def test_every_fault_is_named(
    http: aiohttp.ClientSession, fields: dict[str, Any], faults: list[str]
) -> None:
    answer = await put(http, **fields)
    assert answer.status == 400
    assert set(answer.fields) == set(faults)
    assert (await ask(http, "GET", "/api/task-types/send")).status == 404


@pytest.mark.parametrize("name", ["shop%2Fsend:v1", "shop.tasks:send", "a-b_c"])
async def test_a_name_with_signs_works(http: aiohttp.ClientSession, name: str) -> None:
    made = await put(http, name)
    assert made.status == 201
    assert made.json["name"] == name.replace("%2F", "/")
    assert (await ask(http, "POST", f"/api/task-types/{name}/pause")).json["paused"] is True
    assert (await ask(http, "DELETE", f"/api/task-types/{name}")).status == 204


@pytest.mark.parametrize("name", ["%3F", "x" * 201, "%C3%A9", "{name}", "none"])
async def test_a_name_that_no_type_has_is_404(http: aiohttp.ClientSession, name: str) -> None:
    for method, tail in (("GET", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/resume")):
        answer = await ask(http, method, f"/api/task-types/{name}{tail}")
        assert (answer.status, answer.json["type"]) == (404, "urn:tidemill:problem:not-found")
    if name != "none":
        made = await put(http, name)
        assert (made.status, made.fields) == (400, ["name"])


async def test_a_paused_type_waits_and_others_run(
    http: aiohttp.ClientSession, store: Store
) -> None:
    await put(http)
    assert (await ask(http, "POST", "/api/task-types/send/pause")).status == 200
    waiting = (await enqueue(http, type="send")).json["id"]
    running = (await enqueue(http, type="other")).json["id"]
    claimer = Claimer(store, await storage.worker(store), queues=None, lease_seconds=30)
    assert [str(task.id) for task in await claimer.claim(10)] == [running]
    assert (await ask(http, "POST", "/api/task-types/send/resume")).status == 200
    assert [str(task.id) for task in await claimer.claim(10)] == [waiting]


async def test_pause_outlives_a_new_registration(http: aiohttp.ClientSession) -> None:
    await put(http)
    await ask(http, "POST", "/api/task-types/send/pause")
    assert (await put(http, max_retries=1)).json["paused"] is True
