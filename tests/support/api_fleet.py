"""`tidemill api` as a real process that a test may signal: its lines, its children, its metrics."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from tests.support.api_process import REPOSITORY
from tests.support.handler_processes import lives
from tests.support.http import until
from tidemill.settings import Settings
from tidemill_cli.local.postgres import HOST, free_port
from tidemill_worker.processes.guard import descendants

END_SECONDS = 120


@dataclass
class Running:
    """The process, a client of it that opens a connection for each request, and its lines."""

    process: asyncio.subprocess.Process
    client: aiohttp.ClientSession
    port: int
    lines: list[str]

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.port}"

    def children(self) -> list[int]:
        """The process ids of those who serve."""
        return [pid for pid in descendants(self.process.pid) if lives(pid)]

    async def ended(self) -> int:
        """Return the exit code."""
        async with asyncio.timeout(END_SECONDS):
            return await self.process.wait()

    def told(self, words: str) -> list[str]:
        """Return the messages that contain `words`."""
        return [text for line in self.lines if words in (text := message(line))]


def message(line: str) -> str:
    """Return the message of a line of the log; another line is its own."""
    try:
        entry: dict[str, Any] = json.loads(line)
    except ValueError:
        return line
    return str(entry.get("message", line))


async def start(settings: Settings, port: int, **more: str) -> asyncio.subprocess.Process:
    """Start `tidemill api` on `port`; `more` is added to its environment."""
    environ = {"TIDEMILL_DATABASE_URL": settings.database_url, "TIDEMILL_LOG_FORMAT": "json"}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tidemill_cli", "api", "--host", HOST, "--port", str(port)),
        cwd=REPOSITORY,
        env=os.environ | environ | more,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )


@asynccontextmanager
async def running(settings: Settings, **more: str) -> AsyncGenerator[Running]:
    """Run it until the block ends, or the test has ended it."""
    port, lines = free_port(), list[str]()
    process = await start(settings, port, **more)
    reading = asyncio.create_task(_read(process, lines))
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    try:
        async with aiohttp.ClientSession(f"http://{HOST}:{port}", connector=connector) as client:
            found = Running(process, client, port, lines)
            await until(lambda: _ready(found))
            yield found
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(END_SECONDS):
            await process.wait()
            await reading


async def samples(client: aiohttp.ClientSession, name: str) -> list[tuple[dict[str, str], float]]:
    """Return labels and value of each sample called `name`."""
    async with client.get("/metrics") as response:
        text = await response.text()
    return [
        (dict(sample.labels), sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    ]


async def _ready(found: Running) -> bool:
    assert found.process.returncode is None, found.lines
    try:
        async with found.client.get("/readyz") as response:
            return response.status == 200
    except aiohttp.ClientConnectionError:
        return False


async def _read(process: asyncio.subprocess.Process, lines: list[str]) -> None:
    assert process.stderr is not None
    while line := await process.stderr.readline():
        lines.append(line.decode())
