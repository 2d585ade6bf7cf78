"""Answers out as gzip, for clients that accept it and answers that are worth it.

The body is replaced, nothing is compressed while it is sent, so that what has a length keeps one.
Streams are left alone: an event that waits in a compressor's buffer comes late.
"""

import asyncio
import zlib
from typing import Final

from aiohttp import hdrs, web

LEAST_BYTES: Final = 1024
"""Below this a packet is sent either way."""

ON_LOOP_BYTES: Final = 64 * 1024
"""A larger body (a ms and more of work) is compressed in a thread: others do not wait for it."""

_LEVEL: Final = 4  # on pages of tasks within 5 % of level 9's size, at a third of its time
_GZIP: Final = 16 + zlib.MAX_WBITS
_BODILESS: Final = frozenset({204, 304})


async def compress(request: web.Request, response: web.StreamResponse) -> None:
    """Compress the body of `response` if it is whole, large enough and wanted so."""
    if not isinstance(response, web.Response) or response.status in _BODILESS:
        return
    body = response.body
    if not isinstance(body, bytes) or len(body) < LEAST_BYTES:
        return
    headers = response.headers
    if hdrs.CONTENT_ENCODING in headers:
        return
    headers.add(hdrs.VARY, hdrs.ACCEPT_ENCODING)
    if not accepts(request.headers.get(hdrs.ACCEPT_ENCODING, "")):
        return
    large = len(body) > ON_LOOP_BYTES
    response.body = await asyncio.to_thread(_packed, body) if large else _packed(body)
    headers[hdrs.CONTENT_ENCODING] = "gzip"
    if headers.get(hdrs.ETAG, "").startswith('"'):
        headers[hdrs.ETAG] = f"W/{headers[hdrs.ETAG]}"  # the same content in other bytes


def accepts(given: str) -> bool:
    """Return whether an Accept-Encoding of `given` allows gzip, by name or by `*`."""
    weights: dict[str, float] = {}
    for entry in given.lower().split(","):
        name, *parameters = (part.strip() for part in entry.split(";"))
        weights[name] = _weight(parameters)
    return weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0))) > 0


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def _packed(body: bytes) -> bytes:
    return zlib.compress(body, _LEVEL, _GZIP)
