"""The quick parser against the strict one: what it takes is what the strict one would return."""

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill_api import quickjson, strictjson
from tidemill_api.strictjson import BadJson

NUMBERS = [
    *("0", "-0", "-0.0", "1E5", "1e-400", "0e400", "1e308", "1e309", "-1e400", "9007199254740993"),
    *("0.1", "1" * 19, "1" * 400, "1" * 400 + ".5", "1" * 4300, "1" * 4301, "-" + "1" * 4300),
    *("01", "1.", ".5", "+1", "-", "1e", "NaN", "Infinity", "-Infinity", "0x1", "1_000"),
]
TEXTS = [
    *('"a:b"', '"a\\":"', '"\\u00e9"', '"\\u0000"', '"\\ud800"', '"\\ud83d\\ude00"', '"\\udc00"'),
    *('"\\x"', '"\\/"', '"ünï"', '"\x7f"', '"\x1f"', '"', '"\\', '"\\u12"'),
]
ODD = [
    *('{"a":1,"a":2}', '{"a" :1,"a":2}', '{"a":{"b":1,"b":1}}', '[{"a":1,"\\u0061":2}]', "{,}"),
    *('{"a":1,}', "[1,]", "[1 2]", "1 2", "", " ", "nul", "null", "true", "{}", "[]", "\ufeff1"),
    *('{"a":"x:y","b":":"}', '{"a":[{"b":1},{"b":2}]}', '{"":{"":{}}}', "\x0b1", " [\r\n\t1 ] "),
    *(
        "[" * 64 + "]" * 64,
        "[" * 65 + "]" * 65,
        "[" * 300 + "]" * 300,
        '{"a":' * 70 + "1" + "}" * 70,
    ),
]
RAW = [
    b'"\xed\xa0\x80"',
    b'"\xc0\x80"',
    b'"\xf4\x90\x80\x80"',
    b'"\xff"',
    b"1\x00",
    b"\xef\xbb\xbf1",
]
SAMPLES = [*(text.encode() for text in (*NUMBERS, *TEXTS, *ODD)), *RAW]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


def strictly(data: bytes) -> Any:
    """Return the strict parser's value, or its faults."""
    try:
        return strictjson.strictly(data, "")
    except BadJson as error:
        return error.faults


def hold(data: bytes) -> bool:
    """Hold the quick parser against the strict one; return whether it gave a value."""
    quick = quickjson.parsed(data, strictjson.SUSPECT_BYTES, strictjson.MAX_DEPTH)
    if quick is quickjson.UNSURE:
        return False
    strict = strictly(data)
    # told apart by repr as well: 1 from 1.0 and from True, 0.0 from -0.0, the order of keys
    assert not isinstance(strict, tuple), (data, strict)
    assert repr(quick) == repr(strict), data
    return True


@pytest.mark.parametrize("data", SAMPLES, ids=range(len(SAMPLES)))
def test_what_is_taken_is_what_the_strict_parser_returns(data: bytes) -> None:
    hold(data)
    hold(b"[" + data + b"]")
    hold(b'{"k":' + data + b"}")
    hold(b'[{"k":1.5},' + data + b"]")


@given(VALUES, st.booleans())
def test_any_value_comes_out_as_from_the_strict_parser(value: Any, plain: bool) -> None:
    hold(json.dumps(value, ensure_ascii=plain).encode(errors="surrogatepass"))


def test_damaged_text_is_never_taken_for_another_value() -> None:
    chance = random.Random(6)
    pieces = [b"1e999", b'"a":', b"\\u", b"\xed", b"NaN", b"{", b"}", b'"', b":", b",", b"\\ud800"]
    seeds = [
        b'{"type":"send","payload":{"to":"you","n":[1,2.5,-0.0,1e5]},"queue":"q:1"}',
        b'[{"a":{"b":{"c":"\\u00e9:x"}}},{"a":12345678901234567890}]',
    ]
    taken = 0
    for _ in range(20_000):
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.randint(1, 3)):
            place = chance.randrange(len(data) + 1)
            data[place : place + chance.randint(0, 3)] = chance.choice(pieces)
        taken += hold(bytes(data))
    assert taken > 0


@pytest.mark.parametrize(
    "text",
    ['{"type":"send","payload":{"a":[1,"x",null]}}', '{"url":"https://here:1/"}', "[1.5]", "null"],
)
def test_plain_text_needs_no_strict_parser(text: str) -> None:
    assert hold(text.encode())
