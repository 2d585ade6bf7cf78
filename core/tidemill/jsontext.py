"""JSON as Postgres takes it: compact, no NaN, no NUL, no lone surrogates."""

import json
from typing import Any, Final

# Made once: `json.dumps` with options makes an encoder a call, `json.loads` looks for white space
# twice. Half of what JSON costs a small task.
_encode: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_decode: Final = json.JSONDecoder().raw_decode


def dumps(value: Any) -> str:
    """Return `value` as compact JSON text.

    Raises ValueError for what Postgres cannot hold: NaN, infinities, the NUL character, half a
    surrogate pair; and TypeError for what JSON cannot.
    """
    text = _encode(value)
    if "\\u0000" in text and _has_nul(value):
        raise ValueError("must not contain the NUL character")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("must be valid Unicode (half of a surrogate pair found)") from error
    return text


def dumps_or_none(value: Any) -> str | None:
    """Return `dumps(value)`, or None for None."""
    return None if value is None else dumps(value)


def loads(text: str | None) -> Any:
    """Return the value of JSON text read from the database; None for a null column."""
    if text is None:
        return None
    try:
        value, _ = _decode(text)
    except json.JSONDecodeError:  # white space comes first
        return json.loads(text)
    return value


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_has_nul(key) or _has_nul(each) for key, each in value.items())  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - any JSON
    if isinstance(value, (list, tuple)):
        return any(_has_nul(each) for each in value)  # pyright: ignore[reportUnknownVariableType] - any JSON
    return False
