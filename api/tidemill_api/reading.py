"""Bodies in: content type, size and time limits."""

import asyncio
import zlib

from aiohttp import web
from aiohttp.hdrs import CONTENT_ENCODING, EXPECT

from tidemill.errors import Fault
from tidemill_api import expecting
from tidemill_api.budget import Held
from tidemill_api.inflating import inflater_of
from tidemill_api.problems import Problem

JSON_TYPES = frozenset({"application/json"})
NDJSON_TYPES = frozenset(
    {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"}
)
ENCODINGS = frozenset({"gzip", "deflate", "identity"})
BODY_SECONDS = 30.0
"""How long a body may take, besides what `LEAST_BYTES_A_SECOND` allows for its size."""

LEAST_BYTES_A_SECOND = 256 * 1024
MAX_BATCH_BYTES = 64 * 1024 * 1024
MAX_WHOLE_BYTES = 16 * 1024 * 1024
"""Of JSON that is parsed in one go: in memory it may become twenty times what it was."""

ENVELOPE_BYTES = 64 * 1024
"""Room for a task's fields around its payload."""

_LAST = {"Connection": "close"}  # where a body went wrong, nobody knows where the next head begins


def content_type(request: web.Request, allowed: frozenset[str]) -> str:
    """Return the body's type. Raises a 415 problem unless it is in `allowed` and UTF-8."""
    _check_encoding(request)
    given = request.headers.get("Content-Type")
    if given in allowed:  # spelled like this by nearly everybody
        return given
    kind = request.content_type if "Content-Type" in request.headers else "none"
    charset = (request.charset or "utf-8").lower()
    if kind in allowed and charset in ("utf-8", "utf8"):
        return kind
    shown = kind if kind not in allowed else f"{kind}; charset={charset}"
    listed = " or ".join(sorted(allowed))
    rule = f"must be {listed} in UTF-8"
    fault = Fault("Content-Type", rule, shown)
    raise Problem(415, "unsupported-media-type", f"Content-Type: {rule}", (fault,))


def _check_encoding(request: web.Request) -> None:
    """Raise a 415 problem for a body that is compressed in a way that is not unfolded."""
    given = request.headers.get(CONTENT_ENCODING)
    if given is not None and given.strip().lower() not in ENCODINGS:
        rule = f"must be one of {', '.join(sorted(ENCODINGS))}"
        fault = Fault("Content-Encoding", rule, given)
        raise Problem(
            415, "unsupported-media-type", f"Content-Encoding: {rule}", (fault,), dict(_LAST)
        )


def expected_size(request: web.Request, limit: int) -> int:
    """Return the most bytes that the body can have. Raises a 413 problem past `limit`.

    Of a compressed body nobody knows what it unfolds to: it may be as large as any.
    """
    return known_size(request, limit) or (limit if request.can_read_body else 0)


def known_size(request: web.Request, limit: int) -> int:
    """Return how long the body says that it is, or 0. Raises a 413 problem past `limit`."""
    length = request.content_length
    if length is None:
        return 0
    if length > limit:
        raise too_large(limit)
    return 0 if CONTENT_ENCODING in request.headers else length


async def body(request: web.Request, limit: int, held: Held | None = None) -> bytes:
    """Return the whole body, unfolded; `held` grows with it. Raises as `Arriving.read`."""
    if request.content.is_eof() and not _asks_for_more(request):
        # it came along with the head: no timer needed
        data = _now(request)
        if len(data) > limit:
            raise too_large(limit)
        return data
    arriving = Arriving(request, limit, held)
    gathered = bytearray()
    while chunk := await arriving.read():
        gathered += chunk
    return bytes(gathered)


class Arriving:
    """A body as it arrives."""

    def __init__(self, request: web.Request, limit: int, held: Held | None = None) -> None:
        """Read nothing yet; `held` grows with what is read."""
        self._request = request
        self._limit = limit
        self._held = held
        self._inflater = inflater_of(request)
        self._size = 0
        self._invited = EXPECT not in request.headers
        self._until = asyncio.get_running_loop().time() + BODY_SECONDS

    async def read(self) -> bytes:
        """Return what has come, or nothing at the end.

        Raises a 413 problem past the limit, 408 when it does not come, 400 when it ends too early
        or is not encoded as announced, Overloaded when others hold too much.
        """
        data = await self._piece()
        self._size += len(data)
        self._until += len(data) / LEAST_BYTES_A_SECOND
        if self._size > self._limit:
            raise too_large(self._limit)
        if self._held is not None:
            self._held.grow(self._size)
        return data

    async def _piece(self) -> bytes:
        if self._inflater is None:
            return await self._chunk()
        try:
            while not (piece := self._inflater.read()):
                chunk = await self._chunk()
                if not chunk:
                    self._inflater.end()
                    return b""
                self._inflater.put(chunk)
        except zlib.error:
            raise _misencoded() from None
        return piece

    async def _chunk(self) -> bytes:
        content = self._request.content
        if not self._invited:
            self._invited = True
            await expecting.go_on(self._request)
        if content.is_eof():
            return _now(self._request)
        try:
            async with asyncio.timeout_at(self._until):
                return await content.readany()
        except TimeoutError:
            detail = f"the body did not arrive within {BODY_SECONDS:g} s"
            raise Problem(408, "request-timeout", detail, headers=dict(_LAST)) from None
        except (web.RequestPayloadError, ConnectionError) as error:
            raise _ended(error) from None


def _asks_for_more(request: web.Request) -> bool:
    """Whether something is to be done with the body besides taking it."""
    headers = request.headers
    return CONTENT_ENCODING in headers or EXPECT in headers


def _now(request: web.Request) -> bytes:
    """Return what has come of a body whose end has."""
    try:
        return request.content.read_nowait()
    except (web.RequestPayloadError, ConnectionError) as error:
        raise _ended(error) from None


def _ended(error: Exception) -> Problem:
    if isinstance(error, web.RequestPayloadError):
        return _misencoded()
    # nobody hears the answer; it is counted and logged as the client's
    return _broken("must be as long as its Content-Length says")


def _misencoded() -> Problem:
    return _broken("must be encoded as its Content-Encoding says")


def too_large(limit: int, field: str = "body") -> Problem:
    """Return the problem of something with more than `limit` bytes."""
    rule = f"must have at most {limit} bytes"
    return Problem(413, "too-large", f"{field}: {rule}", (Fault(field, rule),))


def _broken(rule: str) -> Problem:
    return Problem(400, "malformed-body", f"body: {rule}", (Fault("body", rule),), dict(_LAST))
