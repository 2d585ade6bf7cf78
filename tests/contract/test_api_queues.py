"""Queues over HTTP: settings and their faults, pause and resume, what a TaskQueue owns."""

from typing import Any

import aiohttp
import pytest

from tests.support import storage
from tests.support.http import Answer, ask, enqueue
from tidemill.store import Store
from tidemill.store.queues import Owner, QueueSettings

ALL: dict[str, Any] = {
    "priority": -5,
    "max_retries": 7,
    "timeout_seconds": 12.5,
    "retry": {"policy": "list", "delays_seconds": [1, 2.5]},
    "lease_seconds": 20,
    "max_depth": 1000,
    "max_running": 3,
    "rate_limit": {"tasks": 10, "seconds": 1.5},
    "unknown_types": "accept",
    "starvation_seconds": 0,
    "retention": {"succeeded_seconds": 60, "failed_seconds": 120, "cancelled_seconds": 0},
}
EMPTY: dict[str, Any] = dict.fromkeys(ALL) | {
    "retention": dict.fromkeys(("succeeded_seconds", "failed_seconds", "cancelled_seconds"))
}


async def put(http: aiohttp.ClientSession, name: str = "q", **fields: Any) -> Answer:
    return await ask(http, "PUT", f"/api/queues/{name}", json=fields)


def settings_in(answer: Answer) -> dict[str, Any]:
    return {name: answer.json[name] for name in ALL}


async def test_put_creates_then_changes_what_is_given(http: aiohttp.ClientSession) -> None:
    made = await put(http)
    assert (made.status, settings_in(made)) == (201, EMPTY)
    changed = await put(http, **ALL)
    assert changed.status == 200
    shown = settings_in(changed)
    assert shown.pop("retry")["delays_seconds"] == [1, 2.5]
    assert shown == {name: value for name, value in ALL.items() if name != "retry"}
    assert (await ask(http, "GET", "/api/queues/q")).json == changed.json
    one = await put(http, max_retries=1, retention={"failed_seconds": 1})
    assert one.json["max_retries"] == 1
    assert one.json["retention"] == ALL["retention"] | {"failed_seconds": 1}
    assert one.json["rate_limit"] == ALL["rate_limit"]
    cleared = await ask(http, "PUT", "/api/queues/q", json=dict.fromkeys(ALL))
    assert settings_in(cleared) == EMPTY


async def test_settings_take_effect(http: aiohttp.ClientSession) -> None:
    await put(http, priority="high", max_retries=7, timeout_seconds=9)
    task = (await enqueue(http, queue="q")).json
    assert (task["priority"], task["max_retries"], task["timeout_seconds"]) == (100, 7, 9)


async def test_the_list_has_all_by_name(http: aiohttp.ClientSession) -> None:
    for name in ("b", "a.b-c_d", "Z"):
        assert (await put(http, name)).status == 201
    await enqueue(http, queue="made-by-use")
    names = [queue["name"] for queue in (await ask(http, "GET", "/api/queues")).json["queues"]]
    assert sorted(names) == ["Z", "a.b-c_d", "b", "made-by-use"]
    assert len(set(names)) == 4


@pytest.mark.parametrize(
    ("fields", "faults"),
    [
        ({"priority": 40000}, ["priority"]),
        ({"max_retries": -1, "max_depth": 0}, ["max_retries", "max_depth"]),
        ({"max_running": 2**31}, ["max_running"]),
        ({"rate_limit": {"tasks": 1}}, ["rate_limit.seconds"]),
        ({"rate_limit": {"tasks": 0, "seconds": 1}}, ["rate_limit.tasks"]),
        ({"retention": {"kept": 1}}, ["retention.kept"]),
        ({"retry": {"policy": "list"}}, ["retry.delays_seconds"]),
        ({"unknown_types": "maybe"}, ["unknown_types"]),
        ({"lease_seconds": 0.5, "timeout_seconds": 0}, ["timeout_seconds", "lease_seconds"]),
        ({"paused": True, "owner": None}, ["paused", "owner"]),
        ({"starvation_seconds": -1}, ["starvation_seconds"]),
    ],
)
async def test_every_fault_is_named(
    http: aiohttp.ClientSession, fields: dict[str, Any], faults: list[str]
) -> None:
    answer = await put(http, **fields)
    assert answer.status == 400
    assert set(answer.fields) == set(faults)
    assert (await ask(http, "GET", "/api/queues/q")).status == 404


@pytest.mark.parametrize("name", ["%3F", "a%20b", "x" * 64, "%C3%A9", "a%2Fb", "{name}"])
async def test_a_name_that_no_queue_can_have(http: aiohttp.ClientSession, name: str) -> None:
    made = await put(http, name)
    assert (made.status, made.fields) == (400, ["name"])
    for method, tail in (("GET", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/resume")):
        assert (await ask(http, method, f"/api/queues/{name}{tail}")).status == 404


async def test_a_paused_queue_accepts_tasks_and_runs_none_until_it_is_resumed(
    http: aiohttp.ClientSession, store: Store
) -> None:
    await put(http)
    paused = await ask(http, "POST", "/api/queues/q/pause")
    assert (paused.status, paused.json["paused"], paused.json["paused_by"]) == (200, True, ["api"])
    assert (await ask(http, "POST", "/api/queues/q/pause")).json["paused"] is True
    assert (await enqueue(http, queue="q")).status == 201
    worker = await storage.worker(store)
    assert await storage.claim(store, worker) == []
    resumed = await ask(http, "POST", "/api/queues/q/resume")
    assert (resumed.status, resumed.json["paused"], resumed.json["paused_by"]) == (200, False, [])
    assert len(await storage.claim(store, worker)) == 1


async def test_an_empty_queue_is_deleted_and_a_full_one_is_not(
    http: aiohttp.ClientSession,
) -> None:
    await put(http)
    task = (await enqueue(http, queue="q")).json
    refused = await ask(http, "DELETE", "/api/queues/q")
    assert refused.status == 409
    assert "'q'" in refused.json["detail"]
    await ask(http, "DELETE", f"/api/tasks/{task['id']}")
    assert (await ask(http, "DELETE", "/api/queues/q")).status == 204
    for method, tail in (("GET", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/resume")):
        answer = await ask(http, method, f"/api/queues/q{tail}")
        assert answer.status == 404
        assert "q" in answer.json["detail"]


async def test_what_a_task_queue_sets_is_its_own_and_pause_always_works(
    http: aiohttp.ClientSession, store: Store
) -> None:
    settings = QueueSettings(max_retries=1, max_running=2, paused=True)
    await store.queues.configure("q", settings, Owner("uid", "shop/emails"))
    owned = (await ask(http, "GET", "/api/queues/q")).json
    assert owned["owner"] == {
        "name": "shop/emails",
        "fields": ["max_retries", "max_running", "paused"],
    }
    for fields in ({"max_retries": 5}, {"max_running": None}, {"priority": 1, "max_retries": 5}):
        refused = await put(http, **fields)
        assert refused.status == 409
        assert "shop/emails" in refused.json["detail"]
    assert (await ask(http, "GET", "/api/queues/q")).json == owned
    assert (await put(http, priority=1)).json["priority"] == 1
    assert (await ask(http, "DELETE", "/api/queues/q")).status == 409
    paused = await ask(http, "POST", "/api/queues/q/pause")
    assert paused.json["paused_by"] == ["api", "owner"]
    resumed = await ask(http, "POST", "/api/queues/q/resume")
    assert (resumed.json["paused"], resumed.json["paused_by"]) == (True, ["owner"])
