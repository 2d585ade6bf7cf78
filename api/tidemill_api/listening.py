"""Where connections come in: sockets of our own, or sockets that other processes serve as well."""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable, Sequence
from typing import Final

from tidemill.errors import ConfigurationError

BACKLOG: Final = 1024
"""Connections that the kernel holds until they are accepted."""

_REST_SECONDS: Final = 0.5  # after an accept failed for want of files or memory
_GONE: Final = (BlockingIOError, InterruptedError, ConnectionAbortedError)
_log = logging.getLogger(__name__)
_Protocol = Callable[[], asyncio.Protocol]


class Turns:
    """Takes connections from shared sockets, one a turn of the loop.

    A loop's own server takes all that wait, uvloop's until there are none: of a burst one process
    would get nearly everything. So whoever is busy comes back later, and takes fewer.
    """

    def __init__(self, sockets: Sequence[socket.socket], protocol: _Protocol) -> None:
        """Take from `sockets`, which listen, from now on."""
        self._loop = asyncio.get_running_loop()
        self._sockets = list(sockets)
        self._protocol = protocol
        self._starting: set[asyncio.Task[None]] = set()
        self._resting: asyncio.TimerHandle | None = None
        self._watch()

    def close(self) -> None:
        """Take no more; the sockets close in this process."""
        if self._resting is not None:
            self._resting.cancel()
        for each in self._sockets:
            self._loop.remove_reader(each.fileno())
            each.close()
        self._sockets.clear()

    def _watch(self) -> None:
        for each in self._sockets:
            self._loop.add_reader(each.fileno(), self._take, each)

    def _take(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except _GONE:  # another process was quicker, or the client has left
            return
        except OSError as error:
            _log.warning("cannot accept a connection: %s", error.strerror)
            self._rest()
            return
        connection.setblocking(False)
        task = self._loop.create_task(self._start(connection))
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    async def _start(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, connection)
        except OSError as error:
            connection.close()
            _log.debug("a connection broke before it began: %s", error)

    def _rest(self) -> None:
        for each in self._sockets:
            self._loop.remove_reader(each.fileno())
        self._resting = self._loop.call_later(_REST_SECONDS, self._watch)


Entrance = asyncio.Server | Turns


async def entrances(sockets: Sequence[socket.socket], protocol: _Protocol) -> list[Entrance]:
    """Take connections from `sockets`, which nobody else serves, with what `protocol` makes."""
    loop = asyncio.get_running_loop()
    return [await loop.create_server(protocol, sock=each, backlog=BACKLOG) for each in sockets]


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
