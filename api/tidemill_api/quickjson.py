"""JSON that is surely acceptable, by pydantic's parser: a fifth of what the strict one costs.

That parser lets the last of two equal keys win and makes 1e400 an infinity, and what it says of
faulty text is not what is answered here. So its value is looked at, and wherever something is out
of the ordinary nothing is said: the strict parser decides, and names the faults. Tests hold the two
against each other.
"""

import math
import re
from typing import Any, Final, TypeGuard

from pydantic_core import from_json

UNSURE: Final = object()
"""No value: what the strict parser has to look at."""

_FAR_TOO_MANY: Final = -1
_CONTAINERS: Final = frozenset({dict, list})
_END_OF_KEY: Final = re.compile(rb'"[ \t\n\r]*:')


def parsed(data: bytes, suspect: re.Pattern[bytes], depth: int) -> Any:
    """Return the value in `data`, or UNSURE.

    `suspect` finds escapes that have to be looked at; `depth` is how many levels there may be.
    """
    try:
        value = from_json(data, allow_inf_nan=False, cache_strings="none")
    except ValueError:
        return UNSURE
    if b"\\u" in data and suspect.search(data):
        return UNSURE
    keys = _keys(value, depth)
    # A colon follows each key as it is written: with no more colons than keys, none came twice.
    # Those in texts do not count, unless a quote is before them.
    if data.count(b":") == keys or len(_END_OF_KEY.findall(data)) == keys:
        return value
    return UNSURE


def _keys(value: Any, depth: int) -> int:
    """Return how many keys all objects have; fewer than none for what is too deep or infinite."""
    count = 0
    level = [value] if type(value) in _CONTAINERS else []
    if _is_infinite(value):
        return _FAR_TOO_MANY
    while level:
        if (depth := depth - 1) < 0:
            return _FAR_TOO_MANY
        below: list[Any] = []
        for each in level:
            children: Any = each
            if _is_object(each):
                count += len(each)
                children = each.values()
            kinds = set(map(type, children))
            if float in kinds and any(map(_is_infinite, children)):
                return _FAR_TOO_MANY
            if not kinds.isdisjoint(_CONTAINERS):
                below += [child for child in children if type(child) in _CONTAINERS]
        level = below
    return count


def _is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    return type(value) is dict


def _is_infinite(value: Any) -> bool:
    return type(value) is float and math.isinf(value)
