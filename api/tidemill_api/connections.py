"""Connections: how many one process holds, how long one may be silent, and what it binds.

A client that sends its head slowly, or never, is closed after `api_keepalive_seconds`, as one
that stays without a request. One connection too many is answered 503 and closed at once: waiting
unseen in a queue would help nobody.
"""

import asyncio
import errno
import resource
import secrets
import socket
from typing import Any, Final

from aiohttp import web

from tidemill.errors import ConfigurationError
from tidemill_api.middleware import finish
from tidemill_api.problems import Problem, response_of
from tidemill_api.protocol import ProblemProtocol

BACKLOG: Final = 1024
"""Connections that the kernel holds until they are accepted."""

LINGER_SECONDS: Final = 2.0
"""How long the rest of a refused body is thrown away, so that its sender can read the refusal."""

_SPARE_FILES: Final = 100  # the database's connections, logs, what Python opens


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


class BoundedProtocol(ProblemProtocol):
    """Our HTTP protocol for as many connections as there is room for."""

    __slots__ = ("_entered", "_room")

    def __init__(self, manager: web.Server, room: Room, **options: Any) -> None:
        """Serve with `manager` when there is a place in `room`."""
        super().__init__(manager, **options)
        self._room = room
        self._entered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a place, or turn the client away."""
        self._entered = self._room.enter()
        if self._entered:
            super().connection_made(transport)
        elif isinstance(transport, asyncio.Transport):
            self._force_close = True  # what it sends is not read
            transport.write(_turned_away())
            transport.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Give the place back."""
        if self._entered:
            self._entered = False
            self._room.leave()
        super().connection_lost(exc)


def room_of(most: int) -> Room:
    """Return room for `most` connections, or for what the limit of open files leaves."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return Room(most)
    return Room(max(1, min(most, files - _SPARE_FILES)))


def raise_file_limit(connections: int) -> None:
    """Let this process open a file for each of `connections`, as far as it may by itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _SPARE_FILES
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def bound(host: str, port: int) -> list[socket.socket]:
    """Return sockets that listen on all addresses of `host`. Raises ConfigurationError."""
    opened: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            each = socket.socket(family, kind, protocol)
            opened.append(each)
            each.setblocking(False)
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                each.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            each.bind(address)
            each.listen(BACKLOG)
    except OSError as error:
        for each in opened:
            each.close()
        raise ConfigurationError(_refusal(error, host, port)) from error
    return opened


def shown(host: str) -> str:
    """Return `host` as it stands in an address."""
    return f"[{host}]" if ":" in host else host


def _refusal(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"TIDEMILL_API_PORT: {shown(host)}:{port} is in use by another process"
    if error.errno == errno.EACCES:
        return f"TIDEMILL_API_PORT: not allowed to listen on {shown(host)}:{port}"
    return f"TIDEMILL_API_HOST: cannot listen on {shown(host)}:{port}: {error.strerror or error}"


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
