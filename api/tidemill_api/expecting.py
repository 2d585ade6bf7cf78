"""`Expect`: what is not 100-continue is refused here, before any route.

aiohttp's own answer is plain text, and for bytes that are no UTF-8 it fails.
"""

from typing import Final

from aiohttp import hdrs, web

from tidemill_api.problems import Problem

_KNOWN: Final = "100-continue"


def unknown(request: web.BaseRequest) -> bool:
    """Return whether the request expects what nobody knows."""
    expected = request.headers.get(hdrs.EXPECT)
    return expected is not None and expected.lower() != _KNOWN


async def refuse(_request: web.Request) -> web.StreamResponse:
    """Raise the problem of such a request."""
    raise Problem(417, "bad-http", "Expect: must be 100-continue")
