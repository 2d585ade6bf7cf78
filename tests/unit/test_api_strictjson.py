"""Strict JSON: what passes is what it says; everything else is one fault with its place."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill_api.paths import rendered
from tidemill_api.strictjson import MAX_DEPTH, MAX_FAULTS, BadJson, parse

text = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(
    scalars | text, lambda inner: st.lists(inner) | st.dictionaries(text, inner), max_leaves=20
)


@given(values)
def test_what_json_can_say_comes_back(value: object) -> None:
    assert parse(json.dumps(value).encode()) == value
    assert parse(json.dumps(value, ensure_ascii=False, indent=1).encode()) == value


@given(st.binary())
def test_any_bytes_are_a_value_or_bad_json(data: bytes) -> None:
    with contextlib.suppress(BadJson):
        assert parse(data) == json.loads(data)


def nested(levels: int) -> bytes:
    return b'{"a":[' * (levels // 2) + b"1" + b"]}" * (levels // 2)


def test_depth_is_counted_in_levels() -> None:
    assert parse(nested(MAX_DEPTH))
    assert parse(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    with pytest.raises(BadJson, match="levels deep"):
        parse(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))
    for levels in (MAX_DEPTH + 2, 400, 100_000):
        with pytest.raises(BadJson, match="levels deep"):
            parse(nested(levels))


def test_many_brackets_side_by_side_are_not_deep() -> None:
    assert len(parse(b"[" + b",".join([b"[[]]"] * 500) + b"]")) == 500


@pytest.mark.parametrize("bad", ["\\u0000", "\\ud800", "\\udfff", "\\udc00\\ud800"])
@pytest.mark.parametrize(
    ("data", "place"),
    [
        ('"{}"', "body"),
        ('{{"a": ["x", "{}"]}}', "a[1]"),
        ('[{{"k": {{"x.y": "{}"}}}}]', '[0].k["x.y"]'),
    ],
)
def test_unstorable_text_is_found_wherever_it_is(data: str, place: str, bad: str) -> None:
    with pytest.raises(BadJson) as caught:
        parse(data.format(bad).encode())
    assert [fault.field for fault in caught.value.faults] == [place]


def test_a_key_may_be_unstorable_too() -> None:
    with pytest.raises(BadJson) as caught:
        parse(b'{"a\\u0000": {"b": 1}}')
    assert caught.value.faults[0].field == '["a\\u0000"]'


def test_an_escaped_pair_of_surrogates_is_one_character() -> None:
    assert parse(b'"\\ud83d\\udc0b"') == "\U0001f40b"


def test_faults_are_listed_up_to_a_limit() -> None:
    with pytest.raises(BadJson) as caught:
        parse(json.dumps(["\0"] * 500).encode())
    assert len(caught.value.faults) == MAX_FAULTS


def test_text_full_of_brackets_is_not_deep() -> None:
    assert parse(json.dumps("[" * 500).encode()) == "[" * 500
    assert parse(json.dumps({"a": "{" * 500}).encode())


def test_where_starts_the_path() -> None:
    with pytest.raises(BadJson) as caught:
        parse(b'{"a": "\\u0000"}', where="tasks[7]")
    assert caught.value.faults[0].field == "tasks[7].a"
    with pytest.raises(BadJson) as caught:
        parse(b"{", where="tasks[7]")
    assert caught.value.faults[0].field == "tasks[7]"


@pytest.mark.parametrize(
    ("steps", "path"),
    [
        ((), ""),
        (("a",), "a"),
        (("a", 3, "b-c", "d_e"), "a[3].b-c.d_e"),
        ((0, 1), "[0][1]"),
        (("a b", "", "é", 'q"'), '["a b"][""]["\\u00e9"]["q\\""]'),
    ],
)
def test_paths(steps: tuple[str | int, ...], path: str) -> None:
    assert rendered(steps) == path
