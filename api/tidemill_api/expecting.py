"""`Expect`: what is not 100-continue is refused here, before any route.

aiohttp's own answer is plain text, and for bytes that are no UTF-8 it fails. And it would invite
every body, also one that the head already says is too large, or sent by somebody without a token.
"""

from typing import Final

from aiohttp import HttpVersion11, hdrs, web

from tidemill_api.problems import Problem

_KNOWN: Final = "100-continue"


def unknown(request: web.BaseRequest) -> bool:
    """Return whether the request expects what nobody knows."""
    expected = request.headers.get(hdrs.EXPECT)
    return expected is not None and expected.lower() != _KNOWN


async def refuse(_request: web.Request) -> web.StreamResponse:
    """Raise the problem of such a request."""
    raise Problem(417, "bad-http", "Expect: must be 100-continue")


async def later(request: web.Request) -> None:
    """Say nothing yet to a client that waits with its body: whoever reads it asks for it."""
    if unknown(request):  # another's server has not looked
        raise web.HTTPExpectationFailed


async def go_on(request: web.Request) -> None:
    """Ask for the body of a request that waits to be asked."""
    if request.version >= HttpVersion11 and request.headers[hdrs.EXPECT].lower() == _KNOWN:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer has not begun
