"""The fast yes is never a yes that the library would not give, and says yes when it can."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema.validators import Draft202012Validator

from tidemill_api.payloads import PayloadCheck
from tidemill_api.quick import compiled

TYPES = ["string", "integer", "number", "boolean", "object", "array", "null"]
NAMES = st.sampled_from(["a", "b", "c"])
NUMBERS = st.integers(-3, 3) | st.sampled_from([0.0, 1.0, 1.5, -0.5, 1e300])


def with_children(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(TYPES)
            | st.lists(st.sampled_from(TYPES), min_size=1, unique=True),
            "properties": st.dictionaries(NAMES, children, max_size=3),
            "required": st.lists(NAMES, unique=True, max_size=2),
            "additionalProperties": st.booleans(),
            "items": children,
            "anyOf": st.lists(children, min_size=1, max_size=3),
            "minLength": st.integers(0, 3),
            "maxLength": st.integers(0, 3),
            "minimum": NUMBERS,
            "maximum": NUMBERS,
            "title": st.just("t"),
        },
    )


SCHEMAS = st.recursive(with_children(st.just({})), with_children, max_leaves=6)
PAYLOADS = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text("xé", max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=400, deadline=None)
@given(SCHEMAS, PAYLOADS)
def test_both_judge_alike(schema: dict[str, Any], payload: Any) -> None:
    accepts = compiled(schema)
    assert accepts is not None
    assert accepts(payload) == Draft202012Validator(schema).is_valid(payload)


@pytest.mark.parametrize(
    "schema",
    [
        {"pattern": "x"},
        {"enum": [1]},
        {"$ref": "#"},
        {"additionalProperties": {"type": "string"}},
        {"type": "no-such"},
        {"properties": {"a": {"oneOf": []}}},
        {"items": True},
        {"anyOf": [{"not": {}}]},
    ],
)
def test_what_it_does_not_know_it_leaves_to_the_library(schema: dict[str, Any]) -> None:
    assert compiled(schema) is None


def test_an_email_takes_the_fast_way() -> None:
    schema = {
        "type": "object",
        "title": "send_email",
        "properties": {"to": {"type": "string", "title": "To"}, "body": {"type": "string"}},
        "required": ["to"],
        "additionalProperties": True,
    }
    accepts = compiled(schema)
    assert accepts is not None
    assert accepts({"to": "a", "extra": 1})
    assert not accepts({"body": "b"})
    assert PayloadCheck("send_email", schema).faults({"to": "a"}) == []
    assert len(PayloadCheck("send_email", schema).faults({"to": 1})) == 1
