"""Process isolation: handlers that may hang, leak or crash, each in a process of its own.

A worker lives on whatever becomes of them: one past its timeout is killed, one that holds too much
memory too, and one that dies is a failed attempt that says how. Where TIDEMILL_DATABASE_URL names a
database with the schema in it (`tidemill migrate`):

    tidemill worker examples.isolation:app
    python -m examples.isolation
"""

import asyncio
import os
from typing import Literal

from tidemill import App
from tidemill.errors import TaskFailed

app = App()


@app.task(isolation="process", concurrency=2, timeout_seconds=5, max_memory_mb=200, max_retries=0)
def render(page: str, bug: Literal["none", "hang", "leak", "crash"] = "none") -> str:
    """Render a page with a library that one cannot trust."""
    if bug == "hang":
        while True:
            pass
    if bug == "leak":
        hoard: list[bytearray] = []
        while True:
            hoard.append(bytearray(10_000_000))
    if bug == "crash":
        os._exit(3)
    return f"<h1>{page}</h1> by process {os.getpid()}"


async def main() -> None:
    """Render four pages, three of them badly, and say what came of each."""
    async with app.client:
        handles = {
            bug: await render.enqueue(page=bug, bug=bug)
            for bug in ("none", "crash", "leak", "hang")
        }
        for bug, handle in handles.items():
            try:
                print(f"{bug}: {await handle.result(timeout=60)}")
            except TaskFailed as error:
                print(f"{bug}: {error}")


if __name__ == "__main__":
    asyncio.run(main())
