"""The servers that are measured over HTTP, each a process of its own, and the load on them."""

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import cpu
from bench.case import BenchError
from bench.http_figures import Run
from bench.stopping import stop
from bench.target import Target
from tidemill_cli.local import launch
from tidemill_cli.local.postgres import HOST, free_port

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 30.0
_READY = b"GET /readyz HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Served:
    """A server that answers."""

    port: int
    pid: int

    async def load(self, shape: "Shape", requests: int, connections: int) -> Run:
        """Send so many requests of that shape. Raises BenchError for any other answer than 201."""
        used = cpu.of_trees([self.pid])
        output = await _load(self.port, shape, requests, connections)
        after = cpu.of_trees([self.pid])
        found = json.loads(output)
        seconds = None if used is None or after is None else after - used
        return Run(requests, found["seconds"], found["times"], seconds)


@dataclass(frozen=True, slots=True)
class Shape:
    """What is posted."""

    path: str
    kind: str
    body: bytes


@asynccontextmanager
async def api(target: Target) -> AsyncGenerator[Served]:
    """Yield `tidemill api` as a user starts it, one process. Raises BenchError."""
    port = free_port()
    program = ["-m", "tidemill_cli", "api", "--host", HOST, "--port", str(port)]
    environment = {"TIDEMILL_DATABASE_URL": target.url, "TIDEMILL_LOG_LEVEL": "error"}
    async with _process(program, environment, port) as served:
        yield served


@asynccontextmanager
async def bare(*options: str) -> AsyncGenerator[Served]:
    """Yield the aiohttp handler without a database. Raises BenchError."""
    port = free_port()
    program = ["-m", "bench.http_bare", "--port", str(port), *options]
    async with _process(program, {}, port) as served:
        yield served


@asynccontextmanager
async def _process(
    program: list[str], environment: dict[str, str], port: int
) -> AsyncGenerator[Served]:
    with tempfile.TemporaryFile("w+") as log:
        process = await asyncio.create_subprocess_exec(
            *launch.command([sys.executable, *program], signal=signal.SIGTERM),
            cwd=ROOT,
            env=os.environ | environment,
            stdout=log,
            stderr=log,
        )
        try:
            await _until_ready(process, port)
            yield Served(port, process.pid)
        except BenchError as error:
            log.seek(0)
            raise BenchError(f"{error}\n{log.read()[-2000:]}") from None
        finally:
            await stop(process)


async def _until_ready(process: asyncio.subprocess.Process, port: int) -> None:
    deadline = asyncio.get_running_loop().time() + START_SECONDS
    while not await _answers(port):
        if process.returncode is not None:
            raise BenchError("a server ended at once")
        if asyncio.get_running_loop().time() > deadline:
            raise BenchError(f"a server was not ready within {START_SECONDS:g} s")
        await asyncio.sleep(0.05)


async def _answers(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    try:
        writer.write(_READY)
        return b" 200 " in await reader.readline()
    except ConnectionError:
        return False
    finally:
        writer.close()


async def _load(port: int, shape: Shape, requests: int, connections: int) -> bytes:
    with tempfile.NamedTemporaryFile() as body:
        body.write(shape.body)
        body.flush()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.http_load", "--host", HOST, "--port", str(port)),
            *("--path", shape.path, "--content-type", shape.kind, "--body", body.name),
            *("--requests", str(requests), "--connections", str(connections)),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate()
    if process.returncode != 0:
        raise BenchError(f"the load was not answered: {errors.decode()[-2000:]}")
    return output
