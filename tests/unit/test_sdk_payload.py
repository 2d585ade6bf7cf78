"""Payloads against type hints: the schema, the decoding, the faults."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field

from tidemill.errors import ConfigurationError, InvalidTask
from tidemill.sdk.context import Context
from tidemill.sdk.payload import PayloadCodec


class Address(BaseModel):
    city: str
    lines: list[str] = []


@dataclass
class Order:
    id: int
    placed: datetime


async def handler(
    to: Address,
    order: Order,
    copies: Annotated[int, Field(ge=1)] = 1,
    note: str | None = None,
    pause: timedelta = timedelta(seconds=1),
) -> None: ...


GOOD = {"to": {"city": "Ys"}, "order": {"id": 1, "placed": "2026-01-02T03:04:05Z"}}


def test_hints_decode_models_dataclasses_and_plain_types() -> None:
    decoded = PayloadCodec(handler).decode({**GOOD, "pause": "PT2S"})
    assert decoded == {
        "to": Address(city="Ys"),
        "order": Order(1, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        "pause": timedelta(seconds=2),
    }


def test_what_is_encoded_can_be_decoded() -> None:
    codec = PayloadCodec(handler)
    values = {"to": Address(city="Ys"), "order": Order(1, datetime(2026, 1, 2, tzinfo=UTC))}
    assert codec.decode(codec.encode(values)) == values


def test_the_schema_agrees_with_the_decoder() -> None:
    schema = PayloadCodec(handler).schema
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    assert validator.is_valid(GOOD)
    assert not validator.is_valid({**GOOD, "copies": 0})
    assert not validator.is_valid({"to": {"city": "Ys"}})
    assert not validator.is_valid({**GOOD, "unknown": 1})
    assert schema["required"] == ["to", "order"]
    assert schema["properties"]["copies"]["default"] == 1


@pytest.mark.parametrize(
    ("payload", "faults"),
    [
        ({}, ["payload.to: field required", "payload.order: field required"]),
        ([], ["payload: input should be a valid dictionary (got [])"]),
        (
            {**GOOD, "copies": 0},
            ["payload.copies: input should be greater than or equal to 1 (got 0)"],
        ),
        (
            {**GOOD, "to": {"city": "Ys", "lines": ["a", 2]}},
            ["payload.to.lines[1]: input should be a valid string (got 2)"],
        ),
        ({**GOOD, "x": 1}, ["payload.x: extra inputs are not permitted (got 1)"]),
    ],
)
def test_each_bad_field_is_named(payload: Any, faults: list[str]) -> None:
    with pytest.raises(InvalidTask) as caught:
        PayloadCodec(handler).decode(payload)
    assert [str(fault) for fault in caught.value.faults] == faults


def test_double_star_allows_extra_fields() -> None:
    async def open_handler(to: str, **extra: object) -> None: ...

    codec = PayloadCodec(open_handler)
    assert codec.decode({"to": "a", "x": [1]}) == {"to": "a", "x": [1]}
    assert codec.schema["additionalProperties"] is True


def test_any_parameter_name_works() -> None:
    async def odd(schema: int, copy: int, _private: int, model_config: int) -> None: ...

    payload = {"schema": 1, "copy": 2, "_private": 3, "model_config": 4}
    assert PayloadCodec(odd).decode(payload) == payload


def test_a_parameter_without_hint_takes_anything() -> None:
    def untyped(x):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202 - its subject
        del x

    assert PayloadCodec(untyped).decode({"x": {"a": [1]}}) == {"x": {"a": [1]}}


def test_a_producer_s_value_that_is_no_json_is_refused() -> None:
    with pytest.raises(InvalidTask, match="payload"):
        PayloadCodec(handler).encode({**GOOD, "note": object()})


def _positional(x: int, /) -> None: ...
def _variadic(*x: int) -> None: ...
def _late_context(x: int, context: Context) -> None: ...
def _typed_extra(**x: int) -> None: ...
def _unresolvable(x: "NoSuchType") -> None: ...  # type: ignore[name-defined] # noqa: F821 - subject
def _not_json(x: Callable[[], object], y: "type[PayloadCodec]", z: PayloadCodec) -> None: ...


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (_positional, "parameter `x: int` must be passable by name"),
        (_variadic, r"parameter `\*x: int` must be passable by name"),
        (_late_context, "the Context must be the first parameter"),
        (_typed_extra, "must be annotated object or Any"),
        (_unresolvable, "type hints must be resolvable at module level: name 'NoSuchType'"),
        (_not_json, "type hints must be readable from JSON"),
    ],
)
def test_a_handler_that_no_payload_can_fill_is_refused(
    function: Callable[..., Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        PayloadCodec(function)
    assert "\n" not in str(caught.value)
