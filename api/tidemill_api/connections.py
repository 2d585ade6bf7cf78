"""Connections: how many one process holds, and how one ends.

A client that sends its head slowly, or never, is closed after `api_keepalive_seconds`, as one
that stays without a request. One connection too many is answered 503 and closed: waiting unseen
in a queue would help nobody.
"""

import asyncio
import logging
import resource
import secrets
from contextlib import suppress
from typing import Any, Final, cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from tidemill_api.middleware import finish
from tidemill_api.problems import Problem, response_of
from tidemill_api.protocol import ProblemProtocol

LINGER_SECONDS: Final = 2.0
"""How long the rest of a refused body is thrown away, so that its sender can read the refusal."""

_SPARE_FILES: Final = 200  # the database's connections, logs, those who are turned away
_FEWEST: Final = 10
_MOST_LEAVING: Final = 50
_log = logging.getLogger(__name__)


class Room:
    """How many connections there are, of how many there may be."""

    def __init__(self, most: int) -> None:
        """Start with none."""
        self._most = most
        self._taken = 0

    def enter(self) -> bool:
        """Take a place, or return False when there is none."""
        if self._taken >= self._most:
            return False
        self._taken += 1
        return True

    def leave(self) -> None:
        """Give a place back."""
        self._taken -= 1


class Rooms:
    """The place of those who are served, and of those who are turned away and read that."""

    def __init__(self, most: int) -> None:
        """Serve `most` connections, or what the limit of open files leaves."""
        self.served = _room_of(most)
        self.leaving = Room(_MOST_LEAVING)


class BoundedProtocol(ProblemProtocol):
    """Our HTTP protocol for as many connections as there is room for."""

    __slots__ = ("_room", "_rooms")

    def __init__(self, manager: web.Server, rooms: Rooms, **options: Any) -> None:
        """Serve with `manager` when there is a place in `rooms`."""
        super().__init__(manager, **options)
        self._rooms = rooms
        self._room: Room | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a place, or turn the client away."""
        if self._rooms.served.enter():
            self._room = self._rooms.served
            super().connection_made(transport)
        else:
            self._turn_away(cast("asyncio.Transport", transport))  # uvloop's only look like one

    def data_received(self, data: bytes) -> None:
        """Read on. Of a connection that is ending, the body in hand; aiohttp would drop it."""
        ending = self._close or self._force_close
        if not ending or self._parser is None or self.transport is None:
            super().data_received(data)
            return
        with suppress(HttpProcessingError):  # what comes behind that body is not looked at
            self._parser.feed_data(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Give the place back."""
        if self._room is not None:
            self._room.leave()
            self._room = None
        super().connection_lost(exc)

    def _turn_away(self, transport: asyncio.Transport) -> None:
        self._force_close = True  # what it sends is not looked at
        transport.write(_turned_away())
        if not self._rooms.leaving.enter():
            transport.close()
            return
        # Closed with its request unread, it would lose the answer: it is to hang up first.
        self._room = self._rooms.leaving
        transport.write_eof()
        self._loop.call_later(LINGER_SECONDS, transport.close)


def _room_of(most: int) -> Room:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return Room(most)
    return Room(min(most, max(_FEWEST, files - _SPARE_FILES)))


def raise_file_limit(connections: int) -> None:
    """Let this process open a file for each of `connections`, as far as it may by itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _SPARE_FILES
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most < wanted:
        room = max(_FEWEST, most - _SPARE_FILES)
        _log.info("the limit of %d open files leaves room for %d connections", most, room)


def _turned_away() -> bytes:
    request_id = secrets.token_hex(8)
    headers = {"Retry-After": "1", "Connection": "close"}
    problem = Problem(503, "overloaded", "too many connections at once", headers=headers)
    response = response_of(problem, request_id)
    finish(response.headers, request_id)
    body = response.body if isinstance(response.body, bytes) else b""
    lines = [f"{name}: {value}" for name, value in response.headers.items()]
    head = "\r\n".join(
        ["HTTP/1.1 503 Service Unavailable", *lines, f"Content-Length: {len(body)}", "", ""]
    )
    return head.encode() + body
