"""The trace of a request goes to the tasks that it enqueues."""

import json
from typing import Any

import aiohttp
import pytest

from tests.support.http import ask

GIVEN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OTHER = "00-11111111111111111111111111111111-2222222222222222-00"


async def headers_of(http: aiohttp.ClientSession, task_id: str) -> Any:
    return (await ask(http, "GET", f"/api/tasks/{task_id}")).json["headers"]


async def test_a_request_s_trace_becomes_the_task_s(http: aiohttp.ClientSession) -> None:
    given = {"traceparent": GIVEN, "tracestate": "vendor=1"}
    made = await ask(http, "POST", "/api/tasks", json={"type": "t"}, headers=given)
    assert made.status == 201
    assert made.json["headers"] == given
    assert await headers_of(http, made.json["id"]) == given


async def test_a_trace_that_the_task_names_stands(http: aiohttp.ClientSession) -> None:
    body = {"type": "t", "headers": {"traceparent": OTHER, "x": "y"}}
    made = await ask(http, "POST", "/api/tasks", json=body, headers={"traceparent": GIVEN})
    assert made.json["headers"] == {"traceparent": OTHER, "x": "y"}


async def test_other_headers_of_a_task_are_kept_beside_the_trace(
    http: aiohttp.ClientSession,
) -> None:
    body = {"type": "t", "headers": {"x": "y"}}
    made = await ask(http, "POST", "/api/tasks", json=body, headers={"traceparent": GIVEN})
    assert made.json["headers"] == {"traceparent": GIVEN, "x": "y"}


@pytest.mark.parametrize("wrong", ["", "nonsense", GIVEN.upper(), GIVEN + "-x", "é"])
async def test_what_is_no_trace_is_ignored(http: aiohttp.ClientSession, wrong: str) -> None:
    given = {"traceparent": wrong, "tracestate": "vendor=1"}
    made = await ask(http, "POST", "/api/tasks", json={"type": "t"}, headers=given)
    assert made.status == 201
    assert made.json["headers"] is None


@pytest.mark.parametrize("kind", ["application/json", "application/x-ndjson"])
async def test_a_batch_is_of_one_trace_but_for_tasks_that_name_theirs(
    http: aiohttp.ClientSession, kind: str
) -> None:
    tasks = [{"type": "t"}, {"type": "t", "headers": {"traceparent": OTHER}}]
    lines = "\n".join(map(json.dumps, tasks)) if "nd" in kind else json.dumps(tasks)
    given = {"traceparent": GIVEN, "Content-Type": kind}
    made = await ask(http, "POST", "/api/tasks/batch", data=lines, headers=given)
    assert made.status == 201
    found = [await headers_of(http, task["id"]) for task in made.json["tasks"]]
    assert found == [{"traceparent": GIVEN}, {"traceparent": OTHER}]


async def test_a_repeated_enqueue_keeps_the_first_one_s_trace(http: aiohttp.ClientSession) -> None:
    body = {"type": "t", "idempotency_key": "k"}
    await ask(http, "POST", "/api/tasks", json=body, headers={"traceparent": GIVEN})
    again = await ask(http, "POST", "/api/tasks", json=body, headers={"traceparent": OTHER})
    assert again.status == 200
    assert again.json["headers"] == {"traceparent": GIVEN}
