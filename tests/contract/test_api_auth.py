"""Bearer tokens over HTTP: who gets in, what the refusal says, what is known of who did what."""

import logging

import aiohttp
import pytest

from tests.contract.conftest import Start
from tests.support import postgres
from tests.support.http import ask
from tests.support.tokens import bearer, call, entry, text_of
from tidemill.settings import Settings

TASK = {"type": "t"}
TOKENS = text_of(
    entry("root", "admin"),
    entry("producer", "enqueue"),
    entry("reader", "read"),
    entry("late", "admin", expires_at="2020-01-01T00:00:00Z"),
    entry("slow", "read", rate="2/h"),
    entry("some", "read", queues=["mail"]),
    entry("root", "admin", token="root-new"),
)


@pytest.fixture
def guarded(database_url: str) -> Settings:
    return postgres.settings_of(database_url, tokens=TOKENS)


@pytest.fixture
async def http(start_api: Start, guarded: Settings) -> aiohttp.ClientSession:
    return await start_api(guarded)


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ({}, None),
        ({"Authorization": ""}, None),
        (bearer("nobody"), "invalid_token"),
        (bearer("late"), "invalid_token"),
        ({"Authorization": "Basic cm9vdDpyb290"}, "invalid_token"),
        ({"Authorization": "Bearer"}, "invalid_token"),
        ({"Authorization": "Bearer root root"}, "invalid_token"),
        ({"Authorization": "root"}, "invalid_token"),
    ],
)
async def test_without_a_good_token_it_is_401_and_says_what_is_asked_for(
    http: aiohttp.ClientSession, headers: dict[str, str], error: str | None
) -> None:
    answer = await ask(http, "POST", "/api/tasks", json=TASK, headers=headers)
    assert (answer.status, answer.json["type"]) == (401, "urn:tidemill:problem:unauthenticated")
    challenge = answer.headers["Www-Authenticate"]
    assert challenge.startswith('Bearer realm="tidemill"')
    assert (f'error="{error}"' in challenge) if error else ("error" not in challenge)


async def test_the_scheme_is_read_as_http_says_and_both_tokens_of_a_name_hold(
    http: aiohttp.ClientSession,
) -> None:
    for header in ("bearer root", "BEARER  root-new"):
        answer = await ask(http, "GET", "/api/tasks", headers={"Authorization": header})
        assert answer.status == 200


async def test_a_missing_scope_is_403_and_named(http: aiohttp.ClientSession) -> None:
    answer = await call(http, "producer", "GET", "/api/tasks")
    assert (answer.status, answer.json["type"]) == (403, "urn:tidemill:problem:forbidden")
    assert "scope read" in answer.json["detail"]
    challenge = answer.headers["Www-Authenticate"]
    assert 'error="insufficient_scope", scope="read"' in challenge


async def test_past_its_rate_a_token_gets_429_and_when_to_come_again(
    http: aiohttp.ClientSession,
) -> None:
    answers = [await call(http, "slow", "GET", "/api/queues") for _ in range(3)]
    assert [each.status for each in answers] == [200, 200, 429]
    assert answers[2].json["type"] == "urn:tidemill:problem:rate-limited"
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 1800
    assert (await call(http, "reader", "GET", "/api/queues")).status == 200


async def test_nothing_of_a_refused_request_is_stored(http: aiohttp.ClientSession) -> None:
    for token in (None, "reader", "late"):
        for path, body in (("/api/tasks", TASK), ("/api/tasks/batch", [TASK])):
            assert (await call(http, token, "POST", path, json=body)).status in (401, 403)
    assert (await call(http, "root", "GET", "/api/tasks")).json["tasks"] == []


async def test_probes_and_the_document_are_open_and_strange_paths_are_as_ever(
    http: aiohttp.ClientSession,
) -> None:
    for path in ("/", "/health", "/healthz", "/readyz", "/api/version", "/openapi.json"):
        assert (await ask(http, "GET", path)).status == 200, path
    assert (await ask(http, "GET", "/api/nothing")).status == 404
    assert (await ask(http, "PATCH", "/api/tasks")).status == 405
    assert (await ask(http, "HEAD", "/api/tasks")).status == 401


async def test_metrics_ask_for_read_of_all_queues_unless_they_are_opened(
    http: aiohttp.ClientSession, start_api: Start, database_url: str
) -> None:
    statuses = {
        token: (await call(http, token, "GET", "/metrics")).status
        for token in (None, "reader", "producer", "some")
    }
    assert statuses == {None: 401, "reader": 200, "producer": 403, "some": 403}
    settings = postgres.settings_of(database_url, tokens=TOKENS, open_metrics="on")
    opened = await start_api(settings)
    assert (await ask(opened, "GET", "/metrics")).status == 200
    assert (await ask(opened, "GET", "/api/stats")).status == 401


async def test_refusals_and_callers_are_counted(http: aiohttp.ClientSession) -> None:
    await call(http, None, "GET", "/api/tasks")
    await call(http, "nobody", "GET", "/api/tasks")
    await call(http, "late", "GET", "/api/tasks")
    await call(http, "producer", "GET", "/api/tasks")
    await call(http, "some", "GET", "/api/tasks?queue=bank")
    text = (await call(http, "reader", "GET", "/metrics")).body.decode()
    for reason in ("missing", "unknown", "expired", "scope", "queue"):
        assert f'tidemill_api_refused_requests_total{{reason="{reason}"}} 1.0' in text
    assert 'tidemill_api_authenticated_requests_total{token="reader"} 1.0' in text


async def test_the_document_says_which_scope_an_operation_asks_for(
    http: aiohttp.ClientSession,
) -> None:
    spec = (await ask(http, "GET", "/openapi.json")).json
    assert spec["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    enqueue = spec["paths"]["/api/tasks"]["post"]
    assert enqueue["security"] == [{"token": ["enqueue"]}]
    assert {"401", "403", "429"} <= enqueue["responses"].keys()
    assert spec["paths"]["/healthz"]["get"]["security"] == []


async def test_without_tokens_nobody_is_asked_and_the_document_does_not_say_so(
    start_api: Start, settings: Settings
) -> None:
    http = await start_api(settings)
    assert (await ask(http, "POST", "/api/tasks", json=TASK)).status == 201
    operation = (await ask(http, "GET", "/openapi.json")).json["paths"]["/api/tasks"]["post"]
    assert "security" not in operation
    assert "401" not in operation["responses"]


async def test_who_acted_is_in_the_tasks_history_and_in_the_log(
    http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    task = (await call(http, "producer", "POST", "/api/tasks", json=TASK)).json["id"]
    caplog.set_level(logging.INFO, "tidemill_api.audit")
    assert (await call(http, "root", "POST", f"/api/tasks/{task}/cancel")).status == 200
    events = (await call(http, "reader", "GET", f"/api/tasks/{task}/history")).json
    assert [each["actor"] for each in events if each["event_type"] == "task_cancelled"] == ["root"]
    assert (await call(http, "root", "PUT", "/api/queues/mail", json={})).status == 201
    told = [each.getMessage() for each in caplog.records if each.name == "tidemill_api.audit"]
    assert told == [
        f"cancelTask /api/tasks/{task}/cancel by root",
        "putQueue /api/queues/mail by root",
    ]


async def test_tokens_are_in_no_log_line_and_no_answer(
    start_api: Start, guarded: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    http = await start_api(guarded)
    tokens = ("root-new", "nobody-knows-this-token", "late")
    for token in tokens:
        for path in ("/api/tasks", "/api/nothing", "/api/queues/none"):
            answer = await call(http, token, "GET", path)
            assert token.encode() not in answer.body
    lines = "\n".join(str(each.__dict__) for each in caplog.records)
    assert "listening" in lines
    assert not [token for token in tokens[:2] if token in lines]
    assert "AUTHENTICATION IS OFF" not in lines
