"""A plain HTTP door before a real API server that can be told to fail."""

import asyncio
import contextlib
import json
import re
import ssl
import threading
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp import web


@dataclass(frozen=True)
class Fault:
    """What meets requests whose `METHOD path?query` matches: an answer, or none at all (0)."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    only: str = ""

    @property
    def body(self) -> str:
        """A Status, as the API server would send it."""
        said = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": self.status}
        return json.dumps({**said, "message": f"fault {self.status}"})


class ApiProxy:
    """Passes everything on to `server`, but what the fault of the day meets."""

    def __init__(self, server: str) -> None:
        self.port = 0
        self.met: Counter[str] = Counter()
        """Requests that met a fault, by `METHOD path`."""
        self._server = server
        self._fault: Fault | None = None
        self._session: aiohttp.ClientSession | None = None
        self._stopped = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._streams = set[asyncio.Task[None]]()

    def fails(self, fault: Fault) -> None:
        """Fail from now on; open watches end."""
        self.met.clear()
        self._fault = fault
        self._loop.call_soon_threadsafe(self._end_streams)

    def heals(self) -> int:
        """Pass everything on again; return how many requests met the fault."""
        self._fault = None
        return self.met.total()

    def serve(self, started: threading.Event) -> None:
        """Run until `stop`, in a thread of its own."""
        self._loop.run_until_complete(self._serve(started))
        self._loop.close()

    def stop(self) -> None:
        """End `serve`."""
        self._loop.call_soon_threadsafe(self._stopped.set)

    def _end_streams(self) -> None:
        for each in self._streams:
            each.cancel()

    async def _serve(self, started: threading.Event) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        async with aiohttp.ClientSession(auto_decompress=False) as self._session:
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.port = runner.addresses[0][1]
            started.set()
            await self._stopped.wait()
            self._end_streams()
            await runner.cleanup()

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        what = f"{request.method} {request.path_qs}"
        fault = self._fault
        if fault is not None and re.search(fault.only, what):
            self.met[f"{request.method} {request.path}"] += 1
            if fault.status:
                kind = {"Content-Type": "application/json"}
                headers = {**kind, **dict(fault.headers)}
                return web.Response(status=fault.status, text=fault.body, headers=headers)
            while self._fault is fault:  # noqa: ASYNC110  silent for as long as it lasts
                await asyncio.sleep(0.1)
            return web.Response(status=504, text=fault.body)
        return await self._passed(request)

    async def _passed(self, request: web.Request) -> web.StreamResponse:
        assert self._session is not None
        headers = {k: v for k, v in request.headers.items() if k.lower() != "host"}
        answer = web.StreamResponse()
        task = asyncio.current_task()
        assert task is not None
        async with self._session.request(
            request.method,
            self._server + request.path_qs,
            data=await request.read() or None,
            headers=headers,
            skip_auto_headers=("Content-Type",),
            ssl=_unchecked(),
        ) as found:
            answer.set_status(found.status)
            for name in ("Content-Type", "Content-Encoding", "Retry-After"):
                if name in found.headers:
                    answer.headers[name] = found.headers[name]
            await answer.prepare(request)
            await self._copied(found, answer)
        return answer

    async def _copied(self, found: aiohttp.ClientResponse, answer: web.StreamResponse) -> None:
        async def copy() -> None:
            async for piece in found.content.iter_any():
                await answer.write(piece)

        stream = asyncio.create_task(copy())
        self._streams.add(stream)
        with contextlib.suppress(asyncio.CancelledError, ConnectionError, aiohttp.ClientError):
            await stream
        self._streams.discard(stream)


def _unchecked() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@contextlib.contextmanager
def proxied(kubeconfig: Path, folder: Path) -> Generator[tuple[ApiProxy, Path]]:
    """Yield a proxy before the API server of `kubeconfig`, and the kubeconfig that goes by it."""
    config = json.loads(kubeconfig.read_text())
    proxy = ApiProxy(config["clusters"][0]["cluster"]["server"])
    started = threading.Event()
    thread = threading.Thread(target=proxy.serve, args=(started,), name="api-proxy", daemon=True)
    thread.start()
    assert started.wait(30)
    for each in config["clusters"]:
        each["cluster"] = {"server": f"http://127.0.0.1:{proxy.port}"}
    path = folder / "proxied-kubeconfig"
    path.write_text(json.dumps(config))
    try:
        yield proxy, path
    finally:
        proxy.stop()
        thread.join(30)
