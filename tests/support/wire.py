"""One open connection to a server, written to and read from as bytes."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from tests.support.raw_http import CLOSED, Reply, reply_of
from tidemill_cli.local.postgres import HOST

PATIENCE_SECONDS = 90.0


class Wire:
    """A connection that a test holds."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, data: bytes) -> None:
        """Send bytes; what no longer goes out is found when reading."""
        self._writer.write(data)

    async def reply(self) -> Reply:
        """Return the next answer; CLOSED when there is none."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await reply_of(self._reader)

    async def head(self) -> bytes:
        """Return the next answer's head."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._reader.readuntil(b"\r\n\r\n")

    async def rest(self) -> bytes:
        """Return what comes until the connection ends, however it does."""
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self._reader.read()
        return b""

    async def ended(self) -> bool:
        """Whether the server closes the connection without another answer."""
        return await self.reply() == CLOSED

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


@asynccontextmanager
async def wire_to(port: int) -> AsyncGenerator[Wire]:
    """Open a connection for as long as the block runs."""
    wire = Wire(*await asyncio.open_connection(HOST, port, limit=2**20))
    try:
        yield wire
    finally:
        await wire.close()


def get(path: str) -> bytes:
    """Return a GET as bytes."""
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def post(path: str, value: Any) -> bytes:
    """Return a POST as bytes."""
    body = json.dumps(value).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
