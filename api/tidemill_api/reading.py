"""Bodies in: content type, size and time limits, and a bound on all bodies in hand together."""

import asyncio

from aiohttp import web
from aiohttp.hdrs import CONTENT_ENCODING

from tidemill.errors import Fault, Overloaded
from tidemill_api.problems import Problem

JSON_TYPES = frozenset({"application/json"})
NDJSON_TYPES = frozenset(
    {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"}
)
ENCODINGS = frozenset({"gzip", "deflate", "identity"})
BODY_SECONDS = 30.0
MAX_BATCH_BYTES = 64 * 1024 * 1024
ENVELOPE_BYTES = 64 * 1024
"""Room for a task's fields around its payload."""

_LAST = {"Connection": "close"}  # where a body went wrong, nobody knows where the next head begins


class BodyBudget:
    """Bytes of request bodies that this process holds at once; more is refused, never queued."""

    def __init__(self, most: int = 4 * MAX_BATCH_BYTES) -> None:
        """Allow `most` bytes."""
        self._free = most

    def holding(self, size: int) -> "Held":
        """Hold `size` bytes in a with block. Its start raises Overloaded when they are not free."""
        return Held(self, size)

    def take(self, size: int) -> None:
        """Hold `size` bytes, or fewer than none to give them back. Raises Overloaded."""
        if size > self._free:
            raise Overloaded("too many large requests at once")
        self._free -= size


class Held:
    """Some bytes of a budget, as long as a with block runs. A generator would cost thrice this."""

    __slots__ = ("_budget", "_size")

    def __init__(self, budget: BodyBudget, size: int) -> None:
        """Hold nothing yet."""
        self._budget, self._size = budget, size

    def __enter__(self) -> None:
        """Take the bytes. Raises Overloaded."""
        self._budget.take(self._size)

    def __exit__(self, *_: object) -> None:
        """Give them back."""
        self._budget.take(-self._size)


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
    length = request.content_length
    if length is None or CONTENT_ENCODING in request.headers:
        return limit
    if length > limit:
        raise too_large(limit)
    return length


async def body(request: web.Request, limit: int) -> bytes:
    """Return the whole body.

    Raises a 413 problem past `limit` bytes, 408 when it does not come, 400 when it ends too early
    or is not encoded as announced.
    """
    try:
        if request.content.is_eof():  # it came along with the head: no timer needed
            return _whole(request.content.read_nowait(), limit)
        async with asyncio.timeout(BODY_SECONDS):
            return await _collected(request, limit)
    except web.RequestPayloadError:
        raise _broken("must be encoded as its Content-Encoding says") from None
    except ConnectionError:  # nobody hears the answer; it is counted and logged as the client's
        raise _broken("must be as long as its Content-Length says") from None
    except TimeoutError:
        detail = f"the body did not arrive within {BODY_SECONDS:g} s"
        raise Problem(408, "request-timeout", detail, headers=dict(_LAST)) from None


def too_large(limit: int, field: str = "body") -> Problem:
    """Return the problem of something with more than `limit` bytes."""
    rule = f"must have at most {limit} bytes"
    return Problem(413, "too-large", f"{field}: {rule}", (Fault(field, rule),))


def _broken(rule: str) -> Problem:
    return Problem(400, "malformed-body", f"body: {rule}", (Fault("body", rule),), dict(_LAST))


def _whole(data: bytes, limit: int) -> bytes:
    if len(data) > limit:
        raise too_large(limit)
    return data


async def _collected(request: web.Request, limit: int) -> bytes:
    chunk = await request.content.readany()
    if request.content.at_eof() and len(chunk) <= limit:
        return chunk
    gathered = bytearray(chunk)
    while len(gathered) <= limit:
        chunk = await request.content.readany()
        if not chunk:
            return bytes(gathered)
        gathered += chunk
    raise too_large(limit)
