"""The answer that goes on: it is prepared like any other, and its end is the stream."""

import asyncio
import socket
from typing import Any, Final

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from tidemill_api.events.client import Client
from tidemill_api.events.feed import Feed
from tidemill_api.events.frames import HEARTBEAT, hello_frame

EVENT_STREAM: Final = "text/event-stream"
HEARTBEAT_SECONDS: Final = 15.0
"""After so long without an event a comment is sent: proxies cut what is silent."""

UNHEARD_SECONDS: Final = 60.0
"""A client that has acknowledged nothing for so long is gone (where the kernel can tell)."""

SOCKET_BYTES: Final = 64 * 1024
"""What the kernel keeps for a client, so that one that does not read is noticed soon."""

_LOOK_SECONDS: Final = 1.0
HEADERS: Final = {"Content-Type": EVENT_STREAM, "X-Accel-Buffering": "no"}


class EventStream(web.StreamResponse):
    """A client's stream; what goes around every answer is done before it begins."""

    def __init__(self, feed: Feed, client: Client) -> None:
        """Stream to `client` what `feed` tells."""
        super().__init__(headers=HEADERS)
        self._feed = feed
        self._client = client
        self._transport: asyncio.Transport | None = None

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send the head."""
        self._transport = request.transport
        return await super().prepare(request)

    async def write_eof(self, data: bytes = b"") -> None:
        """Stream until the client has gone or the server ends."""
        transport = self._transport
        if transport is None:
            raise ConnectionResetError("the client has gone")
        _bound(transport)
        self._client.on_drop = transport.abort
        self._feed.join(self._client)
        try:
            await self.write(hello_frame())
            await self._stream(transport)
        finally:
            self._feed.leave(self._client)
        self.force_close()
        await super().write_eof(data)
        transport.close()

    async def _stream(self, transport: asyncio.Transport) -> None:
        quiet = 0.0
        while not transport.is_closing():
            wait = min(_LOOK_SECONDS, HEARTBEAT_SECONDS - quiet)
            taken = await self._client.next(wait)
            if taken:
                await self.write(taken)
            elif self._client.done:
                return
            elif (quiet := quiet + wait) < HEARTBEAT_SECONDS:
                continue
            else:
                await self.write(HEARTBEAT)
            quiet = 0.0


def _bound(transport: asyncio.Transport) -> None:
    transport.set_write_buffer_limits(high=SOCKET_BYTES)
    taken: Any = transport.get_extra_info("socket")
    if taken is not None:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
        by_network = taken.family in (socket.AF_INET, socket.AF_INET6)
        if by_network and hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
            milliseconds = int(UNHEARD_SECONDS * 1000)
            taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
