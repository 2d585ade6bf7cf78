"""A TCP proxy that can go silent: connections stay open, and nothing passes any more."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit


class Proxy:
    """Passes connections on to `host:port` until told otherwise."""

    def __init__(self, host: str, port: int) -> None:
        self.accepted = 0
        """Connections since the start."""
        self._host, self._port = host, port
        self._passing = asyncio.Event()
        self._passing.set()
        self._tasks = set[asyncio.Task[None]]()
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    def url(self, of_server: str) -> str:
        """Return the address of a database by way of this proxy."""
        parts = urlsplit(of_server)
        login = parts.netloc.rpartition("@")[0]
        return urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{self.port}"))

    def silence(self, *, new: bool = False) -> None:
        """Swallow everything on the connections that there are; on `new` ones too."""
        self._passing.clear()
        if not new:
            self._passing = asyncio.Event()
            self._passing.set()

    def cut(self) -> None:
        """End the connections that there are, at both ends."""
        for task in self._tasks:
            task.cancel()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        passing = self._passing
        with contextlib.suppress(OSError, asyncio.CancelledError):
            beyond = await asyncio.open_connection(self._host, self._port)
            try:
                await asyncio.gather(
                    _pass_on(reader, beyond[1], passing), _pass_on(beyond[0], writer, passing)
                )
            finally:
                beyond[1].close()
        writer.close()
        self._tasks.discard(task)


async def _pass_on(
    source: asyncio.StreamReader, target: asyncio.StreamWriter, passing: asyncio.Event
) -> None:
    while data := await source.read(65536):
        if passing.is_set():
            target.write(data)
            await target.drain()
    if passing.is_set():
        target.close()
    else:
        await asyncio.Event().wait()  # a dead network says nothing of an end either


@asynccontextmanager
async def proxy(to: str) -> AsyncGenerator[Proxy]:
    """Run a proxy to the server of the address `to`."""
    parts = urlsplit(to)
    running = Proxy(parts.hostname or "", parts.port or 5432)
    await running.start()
    try:
        yield running
    finally:
        await running.stop()
