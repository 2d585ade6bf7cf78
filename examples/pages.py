"""Coroutines that share one HTTP session: it is opened once a worker, and handed to each run.

Where TIDEMILL_DATABASE_URL names a database with the schema in it (`tidemill migrate`):

    tidemill worker examples.pages:app
    python -m examples.pages https://example.com https://example.org
"""

import asyncio
import logging
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

import aiohttp

from tidemill import App, Context, Discard, Middleware, Resource, Retry
from tidemill.sdk.middleware import Call

log = logging.getLogger("examples.pages")


class Timed(Middleware):
    """Logs how long each run took."""

    async def run(self, context: Context, call: Call) -> Any:
        """Go around one run."""
        began = time.monotonic()
        try:
            return await call()
        finally:
            log.info("%s took %.3f s", context.type, time.monotonic() - began)


async def open_session() -> AsyncIterator[aiohttp.ClientSession]:
    """Open what all runs of this worker share; what follows the yield closes it."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as session:
        yield session


Session = Annotated[aiohttp.ClientSession, Resource(open_session)]

app = App(middleware=[Timed()])


@dataclass
class Page:
    """What came back from a site."""

    url: str
    characters: int


@app.task(timeout_seconds=15, max_retries=3, concurrency=8)
async def fetch(url: str, session: Session) -> Page:
    """Fetch a page. What a later run may mend is retried, what it cannot is not."""
    async with session.get(url) as answer:
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            raise Retry("too many requests", after=float(answer.headers.get("Retry-After", 30)))
        if answer.status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
            raise Discard(f"{url} is gone")
        answer.raise_for_status()
        return Page(url, len(await answer.text()))


async def main() -> None:
    """Fetch all pages that the command line names, and print them as they come."""
    async with app.client:
        handles = await fetch.enqueue_many([{"url": url} for url in sys.argv[1:]])
        for result in asyncio.as_completed([each.result(timeout=60) for each in handles]):
            page = await result
            print(f"{page.url}: {page.characters} characters")


if __name__ == "__main__":
    asyncio.run(main())
