"""A worker beside an aiohttp application: `main.cleanup_ctx.append(beside(Worker(tasks)))`.

Elsewhere `async with Worker(tasks)` in the application's own start and stop does the same.
"""

from collections.abc import AsyncIterator, Callable

from aiohttp import web

from tidemill_worker.worker import Worker


def beside(worker: Worker) -> Callable[[web.Application], AsyncIterator[None]]:
    """Return a cleanup context that starts `worker` with an application, and drains it at its end.

    aiohttp answers the requests in hand before the drain begins.
    """

    async def running(_app: web.Application) -> AsyncIterator[None]:
        async with worker:
            yield

    return running
