"""Bodies that come compressed, unfolded piece by piece.

Here and not in aiohttp, whose parser takes a gzip stream that was cut for a whole one: of a batch
of lines that would be a batch with fewer tasks, and nobody would know.
"""

import zlib
from typing import Any, Final

from aiohttp import hdrs, web

PIECE_BYTES: Final = 128 * 1024
"""What is unfolded at once: a bomb is noticed after one piece too many."""

_GZIP: Final = 16 + zlib.MAX_WBITS
_METHOD: Final = 8  # the low half of the first byte of what RFC 1950 calls deflate


class Inflater:
    """One gzip or deflate stream. Its methods raise zlib.error for what is none."""

    def __init__(self, *, gzip: bool) -> None:
        """Read nothing yet."""
        self._gzip = gzip
        self._stream: Any = None
        self._left = b""

    def put(self, data: bytes) -> None:
        """Take what arrived; all that came before has been read."""
        self._left = data

    def read(self) -> bytes:
        """Return the next piece; empty when more must arrive first."""
        while True:
            stream = self._stream
            if self._left and (stream is None or stream.eof):
                stream = self._stream = self._begun()
            if stream is None:
                return b""
            piece: bytes = stream.decompress(self._left, PIECE_BYTES)
            self._left = stream.unused_data if stream.eof else stream.unconsumed_tail
            if piece or not self._left:
                return piece

    def end(self) -> None:
        """Raise zlib.error unless the stream is whole, or there was none."""
        if self._stream is not None and not self._stream.eof:
            raise zlib.error("the stream ends too early")

    def _begun(self) -> Any:
        """Return the stream that begins here, or the next of several gzip members in a row."""
        if self._gzip:
            return zlib.decompressobj(_GZIP)
        if self._stream is not None:
            raise zlib.error("something comes after the end")
        # some send deflate without the frame that HTTP asks for
        framed = self._left[0] & 0xF == _METHOD
        return zlib.decompressobj(zlib.MAX_WBITS if framed else -zlib.MAX_WBITS)


def inflater_of(request: web.Request) -> Inflater | None:
    """Return what unfolds the body; None where nothing must, or another's server has done it."""
    given = request.headers.get(hdrs.CONTENT_ENCODING)
    if given is None or getattr(request.content, "total_compressed_bytes", None) is not None:
        return None
    encoding = given.strip().lower()
    return None if encoding == "identity" else Inflater(gzip=encoding == "gzip")
