"""JSON as this API accepts it: one meaning for every reader, or refused.

Refused besides malformed text: duplicate keys, NaN and infinities (also by overflow, `1e400`),
invalid UTF-8, nesting past `MAX_DEPTH`, integers past Python's digit limit, and text that Postgres
cannot store: NUL characters and lone surrogates.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, NoReturn

from tidemill.errors import Fault
from tidemill_api import quickjson
from tidemill_api.paths import rendered

MAX_DEPTH = 64
MAX_FAULTS = 100
"""Faults listed in one answer; the rest would only make it longer."""

_DEPTH_RULE = f"must not be nested more than {MAX_DEPTH} levels deep"

# Bad characters can only come from escapes like these: raw ones are refused by the UTF-8 and JSON
# decoders already.
SUSPECT_BYTES = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_SUSPECT = re.compile(SUSPECT_BYTES.pattern.decode())

_CONTAINERS = frozenset({dict, list})
_Node = tuple[Any, tuple[str | int, ...]]


class BadJson(Exception):
    """A body that is not acceptable JSON; carries the faults found."""

    def __init__(self, *faults: Fault) -> None:
        """Keep `faults`, at least one."""
        super().__init__("; ".join(str(fault) for fault in faults))
        self.faults = faults


class _RefusedError(ValueError):
    """Raised inside the decoder's hooks."""


def parse(data: bytes, *, where: str = "") -> Any:
    """Return the value in `data`; `where` starts the path of each fault. Raises BadJson."""
    value = quickjson.parsed(data, SUSPECT_BYTES, MAX_DEPTH)
    return strictly(data, where) if value is quickjson.UNSURE else value


def strictly(data: bytes, where: str) -> Any:
    """Return the same without the quick parser."""
    text = _decoded(data, where)
    value = _value(text, where)
    # each level opens a bracket: a text with few of them needs no look at its depth
    if text.count("[") + text.count("{") > MAX_DEPTH and _too_deep(value):
        raise _bad(where, _DEPTH_RULE)
    if _SUSPECT.search(text):
        _inspect(value, where)
    return value


def unstorable(text: str) -> str | None:
    """Return the rule that `text` breaks as a Postgres string, or None."""
    if "\0" in text:
        return "must not contain the character U+0000"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "must not contain lone surrogates"
    return None


def _decoded(data: bytes, where: str) -> str:
    if not data or data.isspace():
        raise _bad(where, "must not be empty")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise _bad(where, f"must be UTF-8 (byte {error.start} is not)") from None


def _value(text: str, where: str) -> Any:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        what = error.msg.removesuffix(" at")
        place = f"line {error.lineno} column {error.colno}"
        raise _bad(where, f"must be JSON ({what} at {place})") from None
    except _RefusedError as error:
        raise _bad(where, str(error)) from None
    except RecursionError:
        raise _bad(where, _DEPTH_RULE) from None
    except ValueError:  # CPython's limit on the digits of an integer
        raise _bad(where, "must not contain integers of thousands of digits") from None


def _too_deep(value: Any) -> bool:
    """Return whether `value` has more than `MAX_DEPTH` levels; looks at containers only."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for each in level
            for child in (each.values() if isinstance(each, dict) else each)  # pyright: ignore[reportUnknownVariableType] - any JSON
            if type(child) in _CONTAINERS
        ]
        if not level:
            return False
    return True


def _inspect(value: Any, where: str) -> None:
    """Raise BadJson for text that Postgres cannot store, level by level."""
    faults: list[Fault] = []
    level: list[_Node] = [(value, ())]
    while level and len(faults) < MAX_FAULTS:
        faults.extend(_string_faults(level, where))
        level = [child for node in level for child in _children(node)]
    if faults:
        raise BadJson(*faults[:MAX_FAULTS])


def _children(node: _Node) -> Iterator[_Node]:
    value, path = node
    if isinstance(value, dict):
        for key, child in value.items():  # pyright: ignore[reportUnknownVariableType] - any JSON
            yield child, (*path, key)
            yield key, (*path, key)
    elif isinstance(value, list):
        for index, child in enumerate(value):  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - any JSON
            yield child, (*path, index)


def _string_faults(level: list[_Node], where: str) -> Iterator[Fault]:
    for value, path in level:
        if isinstance(value, str) and (rule := unstorable(value)):
            yield Fault(rendered(path, where) or "body", rule, value)


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    built = dict(pairs)
    if len(built) != len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise _RefusedError(f"must not have the key {json.dumps(twice[:100])} twice in one object")
    return built


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _RefusedError(f"must not contain numbers beyond a double's range (got {text[:40]})")
    return number


def _constant(name: str) -> NoReturn:
    raise _RefusedError(f"must not contain {name}: it is not JSON")


def _bad(where: str, rule: str) -> BadJson:
    return BadJson(Fault(where or "body", rule))


_DECODER = json.JSONDecoder(object_pairs_hook=_pairs, parse_float=_finite, parse_constant=_constant)
