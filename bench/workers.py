"""Worker processes as a user starts them."""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.case import BenchError
from bench.scripts import QUEUE
from bench.stopping import stop
from bench.target import Target
from tidemill_cli.local import launch

ROOT = Path(__file__).resolve().parents[1]
APP = "bench.noop:app"
APART = "bench.noop:apart"
START_SECONDS = 30.0


@asynccontextmanager
async def working(target: Target, processes: int, app: str = APP) -> AsyncGenerator[list[int]]:
    """Yield the process ids of so many workers of `app` that listen; stop them at the end.

    Raises BenchError.
    """
    with tempfile.TemporaryFile("w+") as log:
        started = [await _start(target, app, log.fileno()) for _ in range(processes)]
        try:
            await _until_listening(target, started)
            yield [each.pid for each in started]
        except BenchError as error:
            log.seek(0)
            raise BenchError(f"{error}\n{log.read()[-2000:]}") from None
        finally:
            await asyncio.gather(*map(stop, started))


async def _start(target: Target, app: str, log: int) -> asyncio.subprocess.Process:
    environment = {
        **os.environ,
        "TIDEMILL_DATABASE_URL": target.url,
        "TIDEMILL_QUEUES": QUEUE,
        "TIDEMILL_LOG_LEVEL": "warning",
    }
    program = [sys.executable, "-m", "tidemill_cli", "worker", app]
    return await asyncio.create_subprocess_exec(
        *launch.command(program, signal=signal.SIGTERM),  # none outlives a killed benchmark
        cwd=ROOT,
        env=environment,
        stdout=log,
        stderr=log,
    )


async def _until_listening(target: Target, started: list[asyncio.subprocess.Process]) -> None:
    deadline = asyncio.get_running_loop().time() + START_SECONDS
    while await _listening(target) < len(started):
        if any(each.returncode is not None for each in started):
            raise BenchError("a worker process ended at once")
        if asyncio.get_running_loop().time() > deadline:
            raise BenchError(f"the workers were not ready within {START_SECONDS:g} s")
        await asyncio.sleep(0.05)


async def _listening(target: Target) -> int:
    return await target.number(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND application_name = 'tidemill-worker-listener' AND query LIKE 'LISTEN%'"
    )
