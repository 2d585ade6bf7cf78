"""A real API server on this test's database, and a client that speaks to it."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import pytest

from tidemill.settings import Settings
from tidemill_api.server import serve

Start = Callable[[Settings], Awaitable[aiohttp.ClientSession]]


@asynccontextmanager
async def running_api(settings: Settings) -> AsyncIterator[aiohttp.ClientSession]:
    """Run the API process's own entry point on a free port; yield a client of it."""
    stop = asyncio.Event()
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    settings = dataclasses.replace(settings, api_port=0)
    serving = asyncio.create_task(serve(settings, stop=stop, ready=port.set_result))
    try:
        await asyncio.wait((serving, port), return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(
            f"http://127.0.0.1:{await port}", connector=connector
        ) as client:
            yield client
    finally:
        stop.set()
        await serving


@pytest.fixture
async def start_api(settings: Settings) -> AsyncIterator[Start]:
    """Start servers with settings of the test's own; all are stopped at its end."""
    assert settings.database_url  # the database is made before the servers, and dropped after
    async with AsyncExitStack() as stack:
        yield lambda settings: stack.enter_async_context(running_api(settings))


@pytest.fixture
async def http(start_api: Start, settings: Settings) -> aiohttp.ClientSession:
    """A client of an API server on this test's database."""
    return await start_api(settings)
