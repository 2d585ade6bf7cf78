"""Frames between a worker and a handler process: a length, and a JSON object with its kind in `is`.

to the process    task, stop, renewed, close
to the worker     ready, refused, ended, progress, renew, log
"""

import asyncio
import json
import socket
import struct
import threading
from typing import Any, cast

Frame = dict[str, Any]

LARGEST_BYTES = 256 * 1024 * 1024
"""A longer frame than this is no frame of ours."""

_LENGTH = struct.Struct(">I")


class BadFrame(Exception):
    """What arrived is not a frame; nothing after it can be read."""


def encode(frame: Frame) -> bytes:
    """Return the bytes of `frame`. Raises ValueError for one that is too long."""
    body = json.dumps(frame, default=str, separators=(",", ":")).encode()
    if len(body) > LARGEST_BYTES:
        raise ValueError(f"a frame must be at most {LARGEST_BYTES} bytes (got {len(body)})")
    return _LENGTH.pack(len(body)) + body


async def read(reader: asyncio.StreamReader) -> Frame | None:
    """Return the next frame, or None at the end. Raises BadFrame."""
    try:
        length = _length(await reader.readexactly(_LENGTH.size))
        return _decoded(await reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


class Channel:
    """A handler process's end: any thread may send, one receives."""

    def __init__(self, end: socket.socket) -> None:
        """Take over the socket."""
        self._end = end
        self._sending = threading.Lock()

    def send(self, frame: Frame) -> None:
        """Send `frame`; nothing when the worker has gone. Raises ValueError for one too long."""
        message = encode(frame)
        try:
            with self._sending:
                self._end.sendall(message)
        except OSError:
            return  # the guard ends this process in a moment

    def receive(self) -> Frame | None:
        """Wait for the next frame; None when the worker has gone."""
        try:
            return _decoded(self._exactly(_length(self._exactly(_LENGTH.size))))
        except (EOFError, OSError):
            return None

    def _exactly(self, length: int) -> bytes:
        parts: list[bytes] = []
        while length:
            part = self._end.recv(min(length, 1 << 20))
            if not part:
                raise EOFError
            parts.append(part)
            length -= len(part)
        return b"".join(parts)


def _length(head: bytes) -> int:
    length: int = _LENGTH.unpack(head)[0]
    if length > LARGEST_BYTES:
        raise BadFrame(f"a frame of {length} bytes")
    return length


def _decoded(body: bytes) -> Frame:
    try:
        frame: Any = json.loads(body)
        known = isinstance(frame["is"], str)
    except (ValueError, LookupError, TypeError) as error:
        raise BadFrame(str(error)) from None
    if not known:
        raise BadFrame("not an object with a kind")
    return cast("Frame", frame)
