"""A client of /api/events."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

FOREVER = aiohttp.ClientTimeout(total=None, sock_read=60)


@dataclass(frozen=True)
class Event:
    """One event as it came; `comment` for what is none."""

    name: str
    data: Any


class Events:
    """What comes of a stream, in order."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.seen: list[Event] = []

    async def next(self) -> Event | None:
        """Return the next event or comment; None when the stream has ended."""
        name, data = "", None
        while line := await self.response.content.readline():
            text = line.decode().rstrip("\n")
            if text.startswith(("event: ", "retry: ")):
                name = text.removeprefix("event: ")
            elif text.startswith("data: "):
                data = json.loads(text.removeprefix("data: "))
            elif text.startswith(":"):
                name = "comment"
            elif not text:
                self.seen.append(Event(name, data))
                return self.seen[-1]
        return None

    async def until(self, wanted: Callable[[Event], bool]) -> Event:
        """Return the next event that is wanted; the test's own time limit is the limit."""
        while event := await self.next():
            if wanted(event):
                return event
        raise AssertionError(f"the stream ended; it told {self.seen}")

    async def snapshot(self) -> list[Event]:
        """Return the events of a snapshot."""
        start = len(self.seen)
        await self.until(lambda event: event.name == "snapshot")
        return self.seen[start:-1]


@asynccontextmanager
async def listening(client: aiohttp.ClientSession, query: str = "") -> AsyncIterator[Events]:
    """Open a stream."""
    async with client.get(f"/api/events{query}", timeout=FOREVER) as response:
        assert response.status == 200, await response.text()
        yield Events(response)
