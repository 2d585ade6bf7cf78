"""Real API processes, started as a user would, each with a client."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from tests.support import storage
from tidemill.settings import Settings
from tidemill_cli.local.postgres import HOST, free_port

REPOSITORY = Path(__file__).parents[2]
STOP_SECONDS = 60
PATIENCE = aiohttp.ClientTimeout(total=300)
"""Without aiohttp's usual 30 s for a connect: thousands at once may take longer."""


@asynccontextmanager
async def api_process(
    settings: Settings, log: Path | None = None, **more: str
) -> AsyncIterator[aiohttp.ClientSession]:
    """Run `tidemill api` on the settings' database; yield a client of it once it is ready.

    `more` is added to its environment; `log` gets what it logs.
    """
    port = free_port()
    environ = {"TIDEMILL_DATABASE_URL": settings.database_url, "TIDEMILL_LOG_FORMAT": "json"}
    with (log or Path(os.devnull)).open("wb") as told:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tidemill_cli", "api", "--host", HOST, "--port", str(port)),
            cwd=REPOSITORY,
            env=os.environ | environ | more,
            stdout=told,
            stderr=told,
        )
    connector = aiohttp.TCPConnector(limit=0)
    try:
        async with aiohttp.ClientSession(
            f"http://{HOST}:{port}", connector=connector, timeout=PATIENCE
        ) as client:
            await storage.until(lambda: _ready(client, process))
            yield client
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()


async def _ready(client: aiohttp.ClientSession, process: asyncio.subprocess.Process) -> bool:
    assert process.returncode is None, "the API ended"
    try:
        async with client.get("/readyz") as response:
            return response.status == 200
    except aiohttp.ClientConnectionError:
        return False
