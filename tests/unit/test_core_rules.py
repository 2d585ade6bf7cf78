"""The rules of a task, and JSON as Postgres takes it."""

import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill import jsontext
from tidemill.errors import Fault
from tidemill.models import NewTask
from tidemill.retry import RetryPolicy
from tidemill.store.rules import MAX_PAYLOAD_BYTES, faults

NOW = datetime.now(UTC)


def found(most: int = MAX_PAYLOAD_BYTES, **fields: Any) -> list[Fault]:
    payloads: list[str] = []
    return faults([NewTask(**({"type": "t"} | fields))], payloads, most)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"type": "a.b:c/d-e_F9" + "x" * 188, "queue": "Q_.-" + "x" * 59},
        {"priority": -32768, "max_retries": 0, "timeout_seconds": 0.001, "delay_seconds": 0},
        {"priority": 32767, "max_retries": 1000, "timeout_seconds": 604_800},
        {"run_at": NOW, "expires_at": NOW, "name": "ü" * 200, "idempotency_key": "k" * 255},
        {"payload": None, "headers": {}, "retry": RetryPolicy()},
    ],
)
def test_what_is_allowed(fields: dict[str, Any]) -> None:
    assert found(**fields) == []


@pytest.mark.parametrize(
    ("fields", "field", "rule"),
    [
        ({"type": ""}, "type", "must be a name of at most 200"),
        ({"type": "t\n"}, "type", "must be a name of at most 200"),
        ({"type": ".t"}, "type", "must be a name of at most 200"),
        ({"queue": "x" * 64}, "queue", "must be a name of at most 63"),
        ({"queue": "q\n"}, "queue", "must be a name of at most 63"),
        ({"priority": 32768}, "priority", "must be a whole number from -32768 to 32767"),
        ({"priority": 0.5}, "priority", "must be a whole number from -32768 to 32767"),
        ({"max_retries": "3"}, "max_retries", "must be a whole number from 0 to 1000"),
        ({"delay_seconds": -1}, "delay_seconds", "must be 0 to 315360000"),
        ({"delay_seconds": math.nan}, "delay_seconds", "must be 0 to 315360000"),
        ({"timeout_seconds": 0}, "timeout_seconds", "must be 0.001 to 604800"),
        ({"idempotency_ttl_seconds": 0}, "idempotency_ttl_seconds", "must be 1 to 31536000"),
        ({"name": ""}, "name", "must be 1 to 200 characters"),
        ({"name": "\ud800"}, "name", "must be valid Unicode"),
        ({"idempotency_key": "a\0b"}, "idempotency_key", "must be valid Unicode"),
        ({"run_at": NOW, "delay_seconds": 1}, "run_at", "must not be given together"),
        ({"run_at": NOW.replace(tzinfo=None)}, "run_at", "must have a time zone"),
        ({"expires_at": NOW.replace(tzinfo=None)}, "expires_at", "must have a time zone"),
        ({"headers": {"a": "\0"}}, "headers", "must be valid Unicode"),
        ({"retry": RetryPolicy(factor=0)}, "retry.factor", "must be 1 to 100"),
        ({"payload": {"a": math.nan}}, "payload", "Out of range float values"),
        ({"payload": {"a": {1, 2}}}, "payload", "is not JSON serializable"),
        ({"payload": ["\0"]}, "payload", "must not contain the NUL character"),
        ({"payload": {"\ud800": 1}}, "payload", "must be valid Unicode"),
    ],
)
def test_what_is_refused(fields: dict[str, Any], field: str, rule: str) -> None:
    (fault,) = found(**fields)
    assert fault.field == f"tasks[0].{field}"
    assert rule in fault.rule


def test_every_fault_of_every_task_is_named() -> None:
    tasks = [NewTask(type="t"), NewTask(type="", priority=99_999), NewTask(type="", payload="\0")]
    payloads: list[str] = []
    assert [fault.field for fault in faults(tasks, payloads, 100)] == [
        "tasks[1].type",
        "tasks[1].priority",
        "tasks[2].type",
        "tasks[2].payload",
    ]
    assert payloads == ["{}", "{}"]


def test_payloads_are_measured_in_bytes() -> None:
    assert found(most=10, payload="ü" * 4) == []
    (fault,) = found(most=10, payload="ü" * 5)
    assert str(fault) == "tasks[0].payload: must be at most 10 bytes as JSON (got '12 bytes')"


def test_endless_payloads_are_refused() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert found(payload=deep)[0].field == "tasks[0].payload"
    circular: list[Any] = []
    circular.append(circular)
    assert found(payload=circular)[0].field == "tasks[0].payload"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(values)
def test_json_comes_back_or_is_refused(value: Any) -> None:
    try:
        text = jsontext.dumps(value)
    except ValueError:
        everything = json.dumps(value)
        assert "\\u0000" in everything or "\\ud" in everything
    else:
        assert jsontext.loads(text) == value
        assert "\n" not in text


def test_text_that_only_looks_like_nul_is_kept() -> None:
    assert jsontext.loads(jsontext.dumps("\\u0000")) == "\\u0000"


def test_nothing_is_null_and_null_is_nothing() -> None:
    assert jsontext.dumps_or_none(None) is None
    assert jsontext.loads(None) is None
    assert jsontext.dumps(None) == "null"
    assert jsontext.loads("{}") is not jsontext.loads("{}")
