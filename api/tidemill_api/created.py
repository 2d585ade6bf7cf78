"""201 for one task: small, whole, and thousands of times a second."""

import time
from email.utils import formatdate
from functools import lru_cache

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from tidemill_api.compression import LEAST_BYTES
from tidemill_api.encoding import JSON


def created(body: bytes, location: str) -> web.Response:
    """Return the answer with a new task."""
    return web.Response(body=body, status=201, headers={"Content-Type": JSON, "Location": location})


class Created(web.StreamResponse):
    """The same answer, whose head is text from the start and goes out with the body.

    A dict of headers, and the steps that suit streams, cost as much as storing the task. It is for
    whom `suits` says so, on our own server: signals of an application are not sent.
    """

    def __init__(self, body: bytes, location: str) -> None:
        """Answer with `body`, the JSON of the task at `location`."""
        super().__init__(status=201)
        self._whole_body = body
        self._location = location
        self._common = ""

    def suits(self, request: web.BaseRequest) -> bool:
        """Return whether `request` asks for nothing that changes the answer or ends it."""
        small = len(self._whole_body) < LEAST_BYTES  # nobody gets that compressed
        return small and request.keep_alive and request.version == (1, 1)

    def finish(self, common: str) -> web.StreamResponse:
        """Return the answer with the lines that every answer has."""
        self._common = common
        return self

    def usual(self) -> web.Response:
        """Return the answer as aiohttp sends it."""
        return created(self._whole_body, self._location)

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter:
        """Write it."""
        body, writer = self._whole_body, request.writer
        await writer.write(whole(body, self._location, self._common))
        await writer.drain()
        return writer

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to write."""

    @property
    def keep_alive(self) -> bool | None:
        """The connection goes on: others get the usual answer."""
        return True


def whole(body: bytes, location: str, common: str) -> bytes:
    """Return all bytes of the answer; `common`: the lines that every answer has."""
    head = (
        f"HTTP/1.1 201 Created\r\nContent-Type: {JSON}\r\nLocation: {location}\r\n"
        f"{common}Content-Length: {len(body)}\r\nDate: {_date(int(time.time()))}\r\n\r\n"
    )
    return head.encode() + body


@lru_cache(maxsize=1)
def _date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)
