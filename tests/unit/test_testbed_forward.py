from __future__ import annotations

import asyncio
import socket

import pytest

from testbed import addresses, forward
from testbed.cluster import Cluster
from testbed.errors import UsageError
from testbed.forward import Forward

CLUSTER = Cluster("bed", control_plane_only=False, addresses=addresses.of_slot(0))


def test_a_port_alone_is_one_of_the_node() -> None:
    assert forward.parse("8080", "30080", CLUSTER) == Forward(8080, "10.199.0.2", 30080)
    assert forward.parse("8080", "10.96.0.9:80", CLUSTER) == Forward(8080, "10.96.0.9", 80)
    assert forward.parse("8080", "30080", CLUSTER).process == "forward-8080"


@pytest.mark.parametrize(
    ("port", "target"), [("0", "1"), ("x", "1"), ("65536", "1"), ("1", ""), ("1", "host:")]
)
def test_what_is_no_port_is_refused(port: str, target: str) -> None:
    with pytest.raises(UsageError, match="not a port"):
        forward.parse(port, target, CLUSTER)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    while True:
        try:
            return await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.01)


async def test_both_directions_are_copied_and_an_end_is_passed_on() -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read()).upper())  # all, until the client's end
        await writer.drain()
        writer.close()

    target = await asyncio.start_server(shout, "127.0.0.1", 0)
    port = free_port()
    task = asyncio.create_task(
        forward.serve(Forward(port, "127.0.0.1", target.sockets[0].getsockname()[1]))
    )

    reader, writer = await connect(port)
    writer.write(b"high tide")
    writer.write_eof()
    answer = await reader.read()

    assert answer == b"HIGH TIDE"
    writer.close()
    task.cancel()
    target.close()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_target_that_is_away_ends_the_connection_and_not_the_forwarding() -> None:
    port = free_port()
    task = asyncio.create_task(forward.serve(Forward(port, "127.0.0.1", free_port())))

    for _ in range(2):
        reader, writer = await connect(port)
        assert await reader.read() == b""
        writer.close()

    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
