"""JSON out: UUIDs as text, times as ISO 8601 in UTC with a Z."""

from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from pydantic_core import to_json

JSON = "application/json"


def encoded(value: Any) -> bytes:
    """Return `value` as JSON."""
    return to_json(value, inf_nan_mode="null")


def utc(time: datetime | None) -> datetime | None:
    """Return `time` in UTC, which is how it is shown."""
    return None if time is None else time.astimezone(UTC)


def answer(value: Any, status: int = 200, **headers: str) -> web.Response:
    """Return a JSON response."""
    return web.Response(
        body=encoded(value), status=status, headers={"Content-Type": JSON, **headers}
    )
