"""Frames between a worker and a handler process, over a real socket."""

import asyncio
import socket
import struct
from collections.abc import Iterator
from contextlib import closing

import pytest

from tidemill_worker.processes import wire
from tidemill_worker.processes.wire import BadFrame, Channel, encode


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with closing(one), closing(other):
        yield one, other


async def test_what_a_process_sends_the_worker_reads_in_order(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    reader, writer = await asyncio.open_connection(sock=ends[0])
    channel = Channel(ends[1])
    sent = [{"is": "log", "n": n, "text": "ä" * n} for n in range(100)]
    for frame in sent:
        channel.send(frame)
    assert [await wire.read(reader) for _ in sent] == sent
    ends[1].close()
    assert await wire.read(reader) is None
    writer.close()
    await writer.wait_closed()


def test_what_the_worker_sends_a_process_receives_until_the_end(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ends[0].sendall(encode({"is": "task"}) + encode({"is": "stop"}) + b"\0\0")
    ends[0].close()
    channel = Channel(ends[1])
    assert channel.receive() == {"is": "task"}
    assert channel.receive() == {"is": "stop"}
    assert channel.receive() is None  # the rest is no whole frame


def test_a_process_whose_worker_has_gone_sends_into_the_void(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ends[0].close()
    Channel(ends[1]).send({"is": "log"})


@pytest.mark.parametrize(
    "message",
    [
        struct.pack(">I", 5) + b"hello",
        struct.pack(">I", 2) + b"[]",
        struct.pack(">I", 2) + b"{}",
        struct.pack(">I", 8) + b'{"is":1}',
        struct.pack(">I", wire.LARGEST_BYTES + 1),
    ],
)
def test_what_is_no_frame_is_refused(
    ends: tuple[socket.socket, socket.socket], message: bytes
) -> None:
    ends[0].sendall(message)
    with pytest.raises(BadFrame):
        Channel(ends[1]).receive()


def test_a_frame_that_is_too_long_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "LARGEST_BYTES", 100)
    with pytest.raises(ValueError, match="at most 100 bytes"):
        encode({"is": "ended", "result": "x" * 100})
