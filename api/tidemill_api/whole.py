"""An answer that is known in full, written at once."""

import time
from email.utils import formatdate
from functools import lru_cache

from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter


class Whole(web.Response):
    """A response without the steps that suit streams, for our own server's short way.

    To whoever asks for HTTP/1.1 and keeps the connection, its head and body go out as they are;
    to others as aiohttp does it. Signals of an application are not sent: there is none.
    """

    _sent = False

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Write head and body. Raises ValueError for a header with a line break."""
        body = self.body
        stays = request.keep_alive and self.keep_alive is not False
        plain = stays and request.version == (1, 1) and not self.compression
        if not (plain and isinstance(body, bytes)):
            return await super().prepare(request)
        headers, writer = self.headers, request.writer
        headers[hdrs.CONTENT_LENGTH] = str(len(body))
        headers[hdrs.DATE] = _date(int(time.time()))
        self._sent = True
        await writer.write_headers(f"HTTP/1.1 {self.status} {self.reason}", headers)
        await writer.write_eof(body)
        return writer

    async def write_eof(self, data: bytes = b"") -> None:
        """Write what is left, where `prepare` has not written all."""
        if not self._sent:
            await super().write_eof(data)

    @property
    def keep_alive(self) -> bool | None:
        """Whether the connection goes on."""
        return self._sent or super().keep_alive


@lru_cache(maxsize=1)
def _date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)
