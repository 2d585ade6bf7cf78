"""What is refused, how it is named, and that nothing of it is stored."""

import gzip
from typing import Any

import aiohttp
import pytest

from tests.contract.conftest import Start
from tests.support import postgres
from tests.support.http import Answer, ask, enqueue, post_raw
from tidemill.db import Database

LONG = "x" * 300


async def stored(db: Database) -> int:
    return int(await db.fetchval("SELECT count(*) FROM tidemill.tasks"))


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"type": ""}, "type"),
    ({"type": "has space"}, "type"),
    ({"type": "newline\n"}, "type"),
    ({"type": "t" * 201}, "type"),
    ({"type": 3}, "type"),
    ({"type": None}, "type"),
    ({"queue": "no/slash"}, "queue"),
    ({"queue": "q" * 64}, "queue"),
    ({"queue": "q\n"}, "queue"),
    ({"queue": ["q"]}, "queue"),
    ({"name": ""}, "name"),
    ({"name": "n" * 201}, "name"),
    ({"name": 5}, "name"),
    ({"priority": 32768}, "priority"),
    ({"priority": -32769}, "priority"),
    ({"priority": 1.5}, "priority"),
    ({"priority": True}, "priority"),
    ({"priority": "urgent"}, "priority"),
    ({"priority": "5"}, "priority"),
    ({"priority": 10**400}, "priority"),
    ({"run_at": "2030-01-01T00:00:00"}, "run_at"),
    ({"run_at": "tomorrow"}, "run_at"),
    ({"run_at": 1893456000}, "run_at"),
    ({"run_at": "0001-01-01T00:00:00+14:00"}, "run_at"),
    ({"run_at": "9999-12-31T23:59:59-14:00"}, "run_at"),
    ({"run_at": "2030-01-01T00:00:00Z", "delay_seconds": 1}, "delay_seconds"),
    ({"delay_seconds": -1}, "delay_seconds"),
    ({"delay_seconds": 315_360_001}, "delay_seconds"),
    ({"delay_seconds": "60"}, "delay_seconds"),
    ({"delay_seconds": 10**400}, "delay_seconds"),
    ({"max_retries": -1}, "max_retries"),
    ({"max_retries": 1001}, "max_retries"),
    ({"max_retries": False}, "max_retries"),
    ({"timeout_seconds": 0}, "timeout_seconds"),
    ({"timeout_seconds": 604_801}, "timeout_seconds"),
    ({"retry": {"policy": "random"}}, "retry.policy"),
    ({"retry": {"policy": "fixed", "jitter": 1}}, "retry.jitter"),
    ({"retry": {"base_seconds": 0}}, "retry.base_seconds"),
    ({"retry": {"policy": "list"}}, "retry.delays_seconds"),
    ({"retry": {"policy": "list", "delays_seconds": [1, -1]}}, "retry.delays_seconds[1]"),
    ({"retry": {"delays_seconds": [1]}}, "retry.delays_seconds"),
    ({"retry": []}, "retry"),
    ({"idempotency_key": ""}, "idempotency_key"),
    ({"idempotency_key": "k" * 256}, "idempotency_key"),
    ({"idempotency_ttl_seconds": 60}, "idempotency_ttl_seconds"),
    ({"idempotency_key": "k", "idempotency_ttl_seconds": 0}, "idempotency_ttl_seconds"),
    ({"expires_at": "soon"}, "expires_at"),
    ({"headers": {"a": 1}}, "headers.a"),
    ({"headers": {"": "v"}}, 'headers[""]'),
    ({"headers": {"a": "v" * 4097}}, "headers.a"),
    ({"headers": {f"h{n}": "v" for n in range(33)}}, "headers"),
    ({"headers": "none"}, "headers"),
    ({"colour": "red"}, "colour"),
    ({"a.b": 1}, '["a.b"]'),
    ({"payload": {"deep": ["ok", "nul\0"]}}, "payload.deep[1]"),
    ({"payload": {"nul\0": 1}}, 'payload["nul\\u0000"]'),
    ({"payload": "\ud800"}, "payload"),
    ({"name": "\udfff"}, "name"),
]


async def test_a_fault_is_named_with_its_place(http: aiohttp.ClientSession, db: Database) -> None:
    for fields, place in FAULTS:
        answer = await enqueue(http, **fields)
        assert (answer.status, answer.fields) == (400, [place]), fields
    assert await stored(db) == 0


async def test_every_fault_is_named_at_once(http: aiohttp.ClientSession) -> None:
    answer = await enqueue(http, queue="?", priority=99999, colour=1, retry={"factor": 0})
    assert sorted(answer.fields) == ["colour", "priority", "queue", "retry.factor"]
    assert "and 3 more" in answer.json["detail"]
    by_field = {fault["field"]: fault for fault in answer.json["faults"]}
    assert by_field["priority"] == {
        "field": "priority",
        "rule": "must be at most 32767",
        "value": 99999,
    }


async def test_a_missing_type_is_named(http: aiohttp.ClientSession) -> None:
    answer = await ask(http, "POST", "/api/tasks", json={})
    assert answer.json["faults"] == [{"field": "type", "rule": "is required", "value": None}]


async def test_a_long_value_is_shown_short(http: aiohttp.ClientSession) -> None:
    answer = await enqueue(http, queue="q" * 50_000)
    assert len(answer.body) < 1000


BAD_JSON: list[tuple[bytes, str]] = [
    (b"", "must not be empty"),
    (b"  \n", "must not be empty"),
    (b"{", "must be JSON"),
    (b'{"type": "t",}', "must be JSON"),
    (b"{'type': 't'}", "must be JSON"),
    (b'{"type": "t"} {"type": "t"}', "must be JSON"),
    (b'\xef\xbb\xbf{"type": "t"}', "must be JSON"),
    (b'{"type": "t", "type": "u"}', "twice"),
    (b'{"type": "t", "payload": {"a": 1, "b": {"c": 1, "c": 1}}}', '"c" twice'),
    (b'{"type": "t", "payload": NaN}', "NaN"),
    (b'{"type": "t", "payload": [Infinity]}', "Infinity"),
    (b'{"type": "t", "payload": -Infinity}', "Infinity"),
    (b'{"type": "t", "payload": 1e400}', "beyond a double"),
    (b'{"type": "t", "payload": ' + b"9" * 5000 + b"}", "thousands of digits"),
    (b'{"type": "t", "payload": "\xff"}', "UTF-8"),
    (b'{"type": "t", "payload": "\xed\xa0\x80"}', "UTF-8"),
    (b'{"type": "t", "payload": "a\nb"}', "(Invalid control character at line 1 column"),
    (b'{"type": "t", "payload": ' + b"[" * 65 + b"]" * 65 + b"}", "levels deep"),
    (b'{"type": "t", "payload": ' + b"[" * 5000 + b"]" * 5000 + b"}", "levels deep"),
    (b"[" * 30_000, "levels deep"),
    (b'{"a":' * 20_000, "levels deep"),
]


@pytest.mark.parametrize("path", ["/api/tasks", "/api/tasks/batch"])
async def test_what_is_not_json_is_400(
    http: aiohttp.ClientSession, db: Database, path: str
) -> None:
    for data, rule in BAD_JSON:
        answer = await post_raw(http, data, path)
        assert (answer.status, answer.fields) == (400, ["body"]), data[:80]
        assert rule in answer.json["faults"][0]["rule"]
    assert await stored(db) == 0


@pytest.mark.parametrize("data", [b"[]", b'"text"', b"3", b"null", b"true"])
async def test_a_body_that_is_no_object(http: aiohttp.ClientSession, data: bytes) -> None:
    answer = await post_raw(http, data)
    assert (answer.status, answer.fields) == (400, ["body"])


async def test_a_payload_of_64_levels_passes(http: aiohttp.ClientSession) -> None:
    depth = 63  # the task's object is one more
    data = b'{"type": "t", "payload": ' + b"[" * depth + b"]" * depth + b"}"
    assert (await post_raw(http, data)).status == 201


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=latin-1",
        "application/x-ndjson",
        "nonsense",
    ],
)
async def test_another_content_type_is_415(http: aiohttp.ClientSession, content_type: str) -> None:
    answer = await post_raw(http, b'{"type": "t"}', content_type=content_type)
    assert answer.status == 415
    assert answer.fields == ["Content-Type"]


async def test_no_content_type_is_415(http: aiohttp.ClientSession) -> None:
    answer = await ask(
        http,
        "POST",
        "/api/tasks",
        data=b'{"type": "t"}',
        skip_auto_headers=["Content-Type"],
    )
    assert answer.status == 415


async def test_a_charset_of_utf8_passes(http: aiohttp.ClientSession) -> None:
    answer = await post_raw(http, b'{"type": "t"}', content_type="application/json; charset=UTF-8")
    assert answer.status == 201


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/tasks", {"GET", "HEAD", "POST"}),
        ("PATCH", "/api/tasks/batch", {"POST"}),
        ("GET", "/api/tasks/batch", {"POST"}),
        ("DELETE", "/api/dead-letters/purge", {"POST"}),
        ("PUT", "/api/tasks/batches", {"DELETE", "GET", "HEAD"}),
        ("GET", "/api/queues/q/pause", {"POST"}),
        ("POST", "/api/stats", {"GET", "HEAD"}),
        ("POST", "/health", {"GET", "HEAD"}),
        ("PATCH", "/api/stats", {"GET", "HEAD"}),
    ],
)
async def test_another_method_is_405(
    http: aiohttp.ClientSession, method: str, path: str, allowed: set[str]
) -> None:
    async with http.request(method, path) as response:
        assert response.status == 405
        assert set(response.headers["Allow"].split(",")) == allowed
        assert response.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/nothing", "/api", "/api/tasks/", "/api//tasks", "/%2e%2e/x"])
async def test_another_path_is_404(http: aiohttp.ClientSession, path: str) -> None:
    assert (await ask(http, "GET", path)).status == 404


async def test_head_answers_as_get_without_a_body(http: aiohttp.ClientSession) -> None:
    answer = await ask(http, "HEAD", "/api/stats")
    assert (answer.status, answer.body) == (200, b"")


@pytest.fixture
async def small(start_api: Start, database_url: str) -> aiohttp.ClientSession:
    """A server that takes payloads of 1,000 bytes."""
    return await start_api(postgres.settings_of(database_url, max_payload_bytes=1000))


async def test_a_payload_past_the_limit_is_413(small: aiohttp.ClientSession) -> None:
    assert (await enqueue(small, payload="x" * 998)).status == 201
    answer = await enqueue(small, payload="x" * 999)
    assert (answer.status, answer.fields) == (413, ["payload"])
    # counted in bytes of UTF-8, not in characters, and not as it was escaped
    assert (await enqueue(small, payload="é" * 499)).status == 201
    assert (await enqueue(small, payload="é" * 500)).status == 413


async def test_a_body_past_the_limit_is_413_announced_or_not(small: aiohttp.ClientSession) -> None:
    large = b'{"type": "t", "payload": "' + b"x" * 100_000 + b'"}'
    announced = await post_raw(small, large)
    assert (announced.status, announced.fields) == (413, ["body"])

    async def pieces() -> Any:
        for start in range(0, len(large), 10_000):
            yield large[start : start + 10_000]

    headers = {"Content-Type": "application/json"}
    streamed = await ask(small, "POST", "/api/tasks", data=pieces(), headers=headers)
    assert (streamed.status, streamed.fields) == (413, ["body"])


async def test_a_compressed_bomb_is_413(small: aiohttp.ClientSession) -> None:
    data = gzip.compress(b'{"type": "t", "payload": "' + b"x" * 50_000_000 + b'"}')
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = await ask(small, "POST", "/api/tasks", data=data, headers=headers)
    assert answer.status == 413


async def test_a_body_that_is_not_encoded_as_it_says_is_400(
    http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    for encoding in ("gzip", "deflate"):
        headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
        answer = await ask(http, "POST", "/api/tasks", data=b'{"type": "t"}', headers=headers)
        assert (answer.status, answer.fields) == (400, ["body"])
    assert not [record for record in caplog.records if record.exc_info]


async def request_id_of(http: aiohttp.ClientSession, given: str | None) -> Answer:
    headers = {} if given is None else {"X-Request-Id": given}
    return await ask(http, "GET", "/api/tasks/none", headers=headers)


async def test_request_ids_are_taken_over_or_made(http: aiohttp.ClientSession) -> None:
    assert (await request_id_of(http, "trace-1.2:3")).headers["X-Request-Id"] == "trace-1.2:3"
    made = {(await request_id_of(http, given)).headers["X-Request-Id"] for given in (None, None)}
    assert len(made) == 2
    for unsafe in ("", "a b", "x" * 200, '"quoted"', "semi;colon"):
        assert (await request_id_of(http, unsafe)).headers["X-Request-Id"] != unsafe
