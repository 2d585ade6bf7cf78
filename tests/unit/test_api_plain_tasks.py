"""Plain tasks are checked and answered by shorter ways: with the results of the longer ones."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.errors import InvalidTask
from tidemill.jsontext import dumps
from tidemill.models import Enqueued, NewTask
from tidemill.states import Status
from tidemill_api import checking
from tidemill_api.encoding import encoded, payload_text
from tidemill_api.shapes import tasks as shapes
from tidemill_api.strictjson import parse

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["send", "a.b:c/d", "q-1", "", "-", "x" * 63, "x" * 64, "x" * 200, "x" * 201, "a\n", "ü", " a"]
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "type": NAMES | JSON,
        "queue": NAMES | st.none() | JSON,
        "payload": JSON,
        "priority": st.just(3),
        "other": JSON,
    },
)
NOW = datetime(2026, 11, 23, 5, 6, 7, 890, tzinfo=UTC)


def modelled(value: Any) -> NewTask | tuple[object, ...]:
    try:
        return checking.modelled(value, "")
    except InvalidTask as error:
        return error.faults


@given(FIELDS | JSON)
def test_what_is_plain_is_what_the_model_makes_of_it(value: Any) -> None:
    plain = checking.plain(value)
    if plain is not None:
        assert repr(plain) == repr(modelled(value))


@pytest.mark.parametrize(
    "value",
    [{"type": "send"}, {"type": "send", "payload": None}, {"queue": None, "type": "a/b"}],
)
def test_plain_tasks_need_no_model(value: dict[str, Any]) -> None:
    assert repr(checking.plain(value)) == repr(checking.modelled(value, ""))


@given(JSON)
def test_a_payloads_text_says_the_payload(value: Any) -> None:
    assert repr(json.loads(payload_text(value))) == repr(value) == repr(json.loads(dumps(value)))


def test_the_largest_number_that_is_taken_can_be_stored() -> None:
    number = parse(b"-" + b"7" * 4300)
    assert json.loads(payload_text([number])) == [number]


@given(
    payload=JSON,
    kind=NAMES,
    status=st.sampled_from([Status.QUEUED, Status.SCHEDULED]),
    priority=st.integers(-32768, 32767),
    timeout=st.sampled_from([300.0, 0.001, 604_800.0]),
    retry=st.none() | st.just({"strategy": "fixed"}),
    seldom=st.fixed_dictionaries(
        {},
        optional={
            "name": TEXTS,
            "idempotency_key": TEXTS,
            "expires_at": st.just(NOW),
            "headers": st.dictionaries(TEXTS, TEXTS),
        },
    ),
    later=st.sampled_from([0, 1, 86_400]),
    known=st.booleans(),
)
def test_a_new_tasks_answer_is_its_json(  # noqa: PLR0917 - hypothesis names them
    payload: Any,
    kind: str,
    status: Status,
    priority: int,
    timeout: float,
    retry: dict[str, Any] | None,
    seldom: dict[str, Any],
    later: int,
    known: bool,
) -> None:
    asked = NewTask(type=kind, payload=payload, **seldom)
    asked.payload_text = payload_text(payload) if known else None
    made = Enqueued(
        UUID(int=7),
        status,
        True,
        kind,
        priority,
        3,
        timeout,
        retry,
        NOW,
        NOW + timedelta(seconds=later),
    )
    assert shapes.new_task(asked, made) == encoded(shapes.new_task_json(asked, made))
