"""A TCP proxy before Postgres that loses an answer with its connection: at the commit, say."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit


class CuttingProxy:
    """Passes everything on, until an answer contains what `lose` was told to wait for.

    That answer never arrives: both sides of its connection are closed. The server has done by then
    what it was asked to; the client cannot know.
    """

    def __init__(self, url: str) -> None:
        """Stand before the server of `url`."""
        self._parts = urlsplit(url)
        self._marker: bytes | None = None
        self._server: asyncio.Server | None = None
        self._connections = set[asyncio.Task[None]]()
        self.lost = asyncio.Event()
        """Set when an answer was lost."""

    @property
    def url(self) -> str:
        """The address of the same database by way of this proxy."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        login = self._parts.netloc.rpartition("@")[0]
        return urlunsplit(self._parts._replace(netloc=f"{login}@127.0.0.1:{port}"))

    def lose(self, marker: bytes) -> None:
        """Lose the next answer that contains `marker`, and only that one."""
        self._marker = marker

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for each in self._connections:
            each.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            host, port = self._parts.hostname or "", self._parts.port or 5432
            server, requests = await asyncio.open_connection(host, port)
            ways = [
                asyncio.ensure_future(_pass_on(client, requests)),
                asyncio.ensure_future(self._answer(server, answers)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                requests.close()
        answers.transport.abort()
        self._connections.discard(task)

    async def _answer(self, server: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        while data := await server.read(65536):
            if self._marker is not None and self._marker in data:
                self._marker = None
                self.lost.set()
                return
            answers.write(data)
            await answers.drain()


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        target.write(data)
        await target.drain()


@asynccontextmanager
async def cutting(url: str) -> AsyncIterator[CuttingProxy]:
    """Run such a proxy before the server of `url`."""
    proxy = CuttingProxy(url)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
