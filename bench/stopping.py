"""How a process that was measured ends: asked as a user would, killed if it does not."""

import asyncio
from typing import Final

STOP_SECONDS: Final = 60.0


async def stop(process: asyncio.subprocess.Process) -> None:
    """Return once `process` has ended, after `STOP_SECONDS` at the latest."""
    if process.returncode is None:
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
