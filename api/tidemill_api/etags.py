"""Conditional reads: an answer carries a tag of its content, and who has that content gets 304.

Tags are weak: the same content may come compressed or not. They are made from the answer itself,
so what a client is spared is the transfer, not the database's work. There is no `If-Match`: to
compare a tag and to write would be two steps, and somebody else could write between them.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from hashlib import blake2b
from typing import Final

from aiohttp import hdrs, web

from tidemill_api.compression import LEAST_BYTES
from tidemill_api.endpoints import Endpoint, Handler

MEANING: Final = "a tag of the content: sent back as If-None-Match, 304 while nothing has changed"
"""The document names no header If-None-Match: it is HTTP's, and any text is good in it."""

UNCHANGED: Final = 304
_TAG: Final = re.compile(r'(?:W/)?"([^"]*)"')
_DIGEST_BYTES: Final = 12
_OK: Final = 200


def tagging(endpoint: Endpoint) -> Endpoint:
    """Return the endpoint with a handler that tags its answers, where it says so."""
    return replace(endpoint, handler=_tagged(endpoint.handler)) if endpoint.tagged else endpoint


def _tagged(handler: Handler) -> Handler:
    async def conditional(request: web.Request) -> web.StreamResponse:
        response = await handler(request)
        body = response.body if isinstance(response, web.Response) else None
        if response.status != _OK or not isinstance(body, bytes):
            return response
        digest = blake2b(body, digest_size=_DIGEST_BYTES).hexdigest()
        if known(request.headers.getall(hdrs.IF_NONE_MATCH, ()), digest):
            response = _unchanged(len(body))
        response.headers[hdrs.ETAG] = f'W/"{digest}"'
        return response

    return conditional


def known(given: Iterable[str], digest: str) -> bool:
    """Return whether one of these If-None-Match headers names the tag, or any (`*`)."""
    text = ",".join(given)
    return text.strip() == "*" or digest in _TAG.findall(text)


def _unchanged(size: int) -> web.Response:
    """Return the answer without its content of `size` bytes, with the headers it would have had."""
    headers = {hdrs.VARY: hdrs.ACCEPT_ENCODING} if size >= LEAST_BYTES else {}
    return web.Response(status=UNCHANGED, headers=headers)
