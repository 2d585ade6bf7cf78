"""Requests as bytes, and what comes back on the connection: for what no HTTP client would send."""

import asyncio
import contextlib
import json
from dataclasses import dataclass
from typing import Any

import aiohttp

LONGEST_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, or with status 0 a connection that closed without one."""

    status: int
    headers: dict[str, str]
    body: bytes


CLOSED = Reply(0, {}, b"")


async def exchange(client: aiohttp.ClientSession, data: bytes, answers: int = 1) -> list[Reply]:
    """Send bytes to the client's server and read so many answers; CLOSED is the last there is."""
    url = client._base_url
    assert url is not None
    reader, writer = await asyncio.open_connection(url.host, url.port, limit=2**20)
    replies: list[Reply] = []
    try:
        writer.write(data)
        async with asyncio.timeout(LONGEST_SECONDS):
            while len(replies) < answers and CLOSED not in replies:
                replies.append(await reply_of(reader))
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return replies


async def reply_of(reader: asyncio.StreamReader) -> Reply:
    """Return the next answer; CLOSED when the connection ended before it did."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip().split("\r\n")
        headers = {name.title(): value for name, _, value in (x.partition(": ") for x in lines)}
        status = int(first.split()[1])
        if status == 100:  # go on
            return await reply_of(reader)
        body = await reader.readexactly(int(headers.get("Content-Length", "0")))
    except (asyncio.IncompleteReadError, ConnectionError):
        return CLOSED
    return Reply(status, headers, body)


def assert_refused_well(reply: Reply, data: bytes) -> None:
    """Hold an answer: no 5xx, and every error a problem. Closing without one is fine, too."""
    told = (data[:300], reply)
    assert reply.status < 500, told
    if reply.status >= 400:
        assert reply.headers.get("Content-Type") == "application/problem+json", told
        problem: dict[str, Any] = json.loads(reply.body)
        assert problem["status"] == reply.status, told
        assert problem["request_id"] == reply.headers["X-Request-Id"], told
        assert problem["type"].startswith("urn:tidemill:problem:"), told
