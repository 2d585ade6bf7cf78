"""The answers that a producer has to tell apart, by their names."""

import json
from typing import Any

import aiohttp
import pytest

from tests.contract.conftest import Start
from tests.support import postgres, seeds
from tests.support.http import ask, post_raw
from tests.support.problem_cases import NOBODY
from tidemill.store import Store

UNIT = 1000
"""Bytes that a payload may have here."""

TASK = {"type": "t"}
ANSWERS: dict[str, tuple[str, str, Any, int, str]] = {
    "unknown task": ("GET", f"/api/tasks/{NOBODY}", None, 404, "task-not-found"),
    "no id": ("GET", "/api/tasks/none", None, 404, "task-not-found"),
    "unknown type": ("POST", "/api/tasks", {**TASK, "queue": seeds.STRICT}, 400, "unknown-type"),
    "bad payload": ("POST", "/api/tasks", {"type": seeds.TYPE}, 400, "invalid-task"),
    "too large": ("POST", "/api/tasks", {**TASK, "payload": "x" * UNIT}, 413, "too-large"),
    "full queue": ("POST", "/api/tasks", {**TASK, "queue": seeds.FULL}, 429, "queue-full"),
    "unknown path": ("GET", "/api/none", None, 404, "no-such-path"),
    "another method": ("PUT", "/api/tasks", TASK, 405, "method-not-allowed"),
}


@pytest.fixture
async def http(start_api: Start, database_url: str, store: Store) -> aiohttp.ClientSession:
    """A server with some of everything in its database."""
    await seeds.seed(store)
    return await start_api(postgres.settings_of(database_url, max_payload_bytes=UNIT))


@pytest.mark.parametrize("case", ANSWERS)
async def test_a_refusal_has_its_name(http: aiohttp.ClientSession, case: str) -> None:
    method, path, body, status, name = ANSWERS[case]
    answer = await ask(http, method, path, json=body)
    assert (answer.status, answer.json["type"]) == (status, f"urn:tidemill:problem:{name}")


async def test_bad_json_has_its_name(http: aiohttp.ClientSession) -> None:
    answer = await post_raw(http, b"{")
    assert (answer.status, answer.json["type"]) == (400, "urn:tidemill:problem:malformed-json")


async def test_a_paused_queue_and_a_paused_type_take_tasks_that_wait(
    http: aiohttp.ClientSession,
) -> None:
    assert (await ask(http, "POST", f"/api/queues/{seeds.QUEUE}/pause")).status == 200
    for task in ({**TASK, "queue": seeds.QUEUE}, {"type": seeds.PAUSED_TYPE}):
        made = await post_raw(http, json.dumps(task).encode())
        assert (made.status, made.json["status"]) == (201, "queued")
