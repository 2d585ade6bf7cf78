"""A cheap HTTP client that sends one request over and over: `python -m bench.http_load`, JSON out.

A process of its own, so that what it costs is not the server's. The requests are rendered once;
of an answer only the status and the length are read. Every connection stays open and has one
request on its way, as a producer does that waits for its acknowledgement.
"""

import argparse
import asyncio
import json
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


class LoadError(Exception):
    """An answer was not what it had to be."""


@dataclass(slots=True)
class Work:
    """What is to be sent, how often, and which status has to come."""

    request: bytes
    left: int
    status: bytes
    times: list[float]


class Connection(asyncio.Protocol):
    """Sends the next request once the last one is answered."""

    def __init__(self, work: Work, done: asyncio.Future[None]) -> None:
        """Take requests from `work`; `done` is set when none is left."""
        self._work, self._done = work, done
        self._answer = b""
        self._transport: asyncio.Transport | None = None
        self._sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; the start is told by `send`."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a TCP connection has one
        self._transport = transport

    def send(self) -> None:
        """Send the next request, or finish."""
        assert self._transport is not None  # noqa: S101 - it was connected before
        if self._work.left == 0:
            self._finish(None)
            return
        self._work.left -= 1
        self._sent = time.perf_counter()
        self._transport.write(self._work.request)

    def data_received(self, data: bytes) -> None:
        """Read an answer, all of it or a part."""
        self._answer = self._answer + data if self._answer else data
        try:
            whole = size_of(self._answer)
            if whole is None or len(self._answer) < whole:
                return
            check(self._answer, whole, self._work.status)
        except LoadError as error:
            self._finish(error)
            return
        self._work.times.append(time.perf_counter() - self._sent)
        self._answer = b""
        self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail unless all was answered."""
        self._finish(LoadError(f"the server closed the connection ({exc})"))

    def _finish(self, error: LoadError | None) -> None:
        if self._done.done():
            return
        if error is None:
            self._done.set_result(None)
        else:
            self._done.set_exception(error)


def size_of(answer: bytes) -> int | None:
    """Return how long the answer is that begins here, None before its head is whole."""
    end = answer.find(_END)
    if end < 0:
        return None
    head = answer[:end].lower()
    place = head.find(_LENGTH)
    if place < 0:
        raise LoadError(f"an answer without a length: {answer[:200]!r}")
    line = head[place + len(_LENGTH) :].partition(b"\r\n")[0]
    return end + len(_END) + int(line)


def check(answer: bytes, size: int, status: bytes) -> None:
    """Raise LoadError unless `answer` is one whole answer of that status."""
    if len(answer) > size:
        raise LoadError("more came than was asked for")
    if answer[9:12] != status:
        raise LoadError(f"{status.decode()} must be the status: {answer[:600].decode()}")


def rendered(path: str, kind: str, body: bytes) -> bytes:
    """Return a request as bytes."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def load(
    host: str, port: int, work: Work, connections: int, seconds: float
) -> tuple[float, list[float]]:
    """Send all of `work` over so many connections. Returns the seconds it took, and each answer's.

    Raises LoadError for an answer of another kind, and when it takes longer than `seconds`.
    """
    loop = asyncio.get_running_loop()
    done = [loop.create_future() for _ in range(connections)]
    opened = [
        await loop.create_connection(partial(Connection, work, each), host, port) for each in done
    ]
    try:
        async with asyncio.timeout(seconds):
            began = time.perf_counter()
            for _, connection in opened:
                connection.send()
            await asyncio.gather(*done)
            return time.perf_counter() - began, work.times
    except TimeoutError:
        raise LoadError(f"{work.left} requests were left after {seconds:g} s") from None
    finally:
        for transport, _ in opened:
            transport.abort()


def main() -> None:
    """Send what the arguments say and print what came of it."""
    parser = argparse.ArgumentParser(prog="bench.http_load")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--path", required=True)
    parser.add_argument("--content-type", required=True)
    parser.add_argument("--body", type=Path, required=True)
    parser.add_argument("--requests", type=int, required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--status", default="201")
    parser.add_argument("--seconds", type=float, default=300.0)
    given = parser.parse_args()
    request = rendered(given.path, given.content_type, given.body.read_bytes())
    work = Work(request, given.requests, given.status.encode(), [])
    try:
        seconds, times = asyncio.run(
            load(given.host, given.port, work, given.connections, given.seconds)
        )
    except (LoadError, OSError) as error:
        sys.exit(f"bench.http_load: {error}")
    sys.stdout.write(json.dumps({"seconds": seconds, "times": times}))


if __name__ == "__main__":
    main()
