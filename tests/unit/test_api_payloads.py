"""Payload checks: the rules of a JSON Schema in words, with places."""

from typing import Any

import pytest

from tidemill_api.payloads import PayloadCheck


def faults(schema: dict[str, Any] | None, payload: Any) -> list[tuple[str, str]]:
    check = PayloadCheck("send_email", schema)
    return [(fault.field, fault.rule) for fault in check.faults(payload)]


@pytest.mark.parametrize(
    ("schema", "payload", "fault"),
    [
        ({"type": "string"}, 3, ("payload", "must be of type string")),
        ({"type": ["string", "null"]}, 3, ("payload", "must be of type string or null")),
        (
            {"properties": {"a": {"anyOf": [{"type": "integer"}, {"type": "null"}]}}},
            {"a": "x"},
            ("payload.a", "must be of type integer or null"),
        ),
        ({"enum": ["a", 1]}, 2, ("payload", 'must be one of ["a", 1]')),
        ({"const": {"a": 1}}, 2, ("payload", 'must be {"a": 1}')),
        ({"minimum": 1}, 0, ("payload", "must be at least 1")),
        ({"exclusiveMaximum": 1}, 1, ("payload", "must be less than 1")),
        ({"minLength": 2}, "a", ("payload", "must have at least 2 characters")),
        ({"pattern": "^{}$"}, "a", ("payload", "must match ^{}$")),
        ({"maxItems": 1}, [1, 2], ("payload", "must have at most 1 entries")),
        ({"uniqueItems": True}, [1, 1], ("payload", "must satisfy uniqueItems true")),
        ({"required": ["to"]}, {}, ("payload.to", "is required")),
        ({"additionalProperties": False}, {"x": 1}, ("payload.x", "is not a known field")),
        (
            {"patternProperties": {"^x-": {}}, "additionalProperties": False},
            {"x-1": 1, "y": 2},
            ("payload.y", "is not a known field"),
        ),
        (
            {"items": {"properties": {"a": {"type": "null"}}}},
            [{}, {"a": 1}],
            ("payload[1].a", "must be of type null"),
        ),
    ],
)
def test_a_rule_in_words(schema: dict[str, Any], payload: Any, fault: tuple[str, str]) -> None:
    assert faults(schema, payload) == [fault]


def test_each_missing_field_is_named_once() -> None:
    found = faults({"required": ["a", "b", "c"]}, {"b": 1})
    assert found == [("payload.a", "is required"), ("payload.c", "is required")]


def test_without_a_schema_everything_passes() -> None:
    assert faults(None, object()) == []
    assert faults({}, {"a": 1}) == []


@pytest.mark.parametrize(
    ("schema", "payload"),
    [
        ({"type": "strnig"}, 1),
        ({"pattern": "("}, "x"),
        ({"$ref": "https://127.0.0.1/x"}, 1),
        ({"$ref": "#/gone"}, 1),
        ({"$ref": "#"}, 1),
        ({"multipleOf": 0.1}, 10**400),
    ],
)
def test_a_schema_that_cannot_be_used_is_the_fault(schema: dict[str, Any], payload: Any) -> None:
    [(field, rule)] = faults(schema, payload)
    assert field == "payload"
    assert rule.startswith("cannot be checked by the JSON Schema of type send_email: ")


def test_a_long_rule_is_cut() -> None:
    [(_, rule)] = faults({"enum": list(range(10_000))}, "x")
    assert len(rule) < 400
