"""Forward a port of the host's loopback address to a port of the node."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from testbed.errors import UsageError

if TYPE_CHECKING:
    from testbed.cluster import Cluster

CHUNK = 65_536
HIGHEST_PORT = 65_535


@dataclass(frozen=True)
class Forward:
    """One forwarding; connections to 127.0.0.1:`port` go to `target_host`:`target_port`."""

    port: int
    target_host: str
    target_port: int

    @property
    def process(self) -> str:
        """The name of the background process."""
        return f"forward-{self.port}"


def parse(port: str, target: str, cluster: Cluster) -> Forward:
    """Read the command's arguments; a target without a host is a port of the node.

    Raises:
        UsageError: one of them is no port or no HOST:PORT.
    """
    host, _, target_port = target.rpartition(":")
    return Forward(_port(port), host or cluster.addresses.node_ip, _port(target_port))


def _port(text: str) -> int:
    if text.isdigit() and 0 < int(text) <= HIGHEST_PORT:
        return int(text)
    raise UsageError(f"not a port (1 to {HIGHEST_PORT}): {text!r}")


async def serve(forward: Forward) -> None:
    """Forward until cancelled.

    Raises:
        OSError: the port is in use.
    """

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _connect(reader, writer, forward)

    server = await asyncio.start_server(accept, "127.0.0.1", forward.port)
    async with server:
        await server.serve_forever()


async def _connect(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, forward: Forward
) -> None:
    """Join a connection with one to the target; a target that refuses just ends it."""
    with contextlib.suppress(OSError):
        try:
            target = await asyncio.open_connection(forward.target_host, forward.target_port)
        except OSError:
            writer.close()
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(_copy(reader, target[1]))
            group.create_task(_copy(target[0], writer))
        for end in (writer, target[1]):
            end.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until the end of one direction, then tell the other side of it."""
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()
