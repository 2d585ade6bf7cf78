"""What handlers share and a worker opens once: database pools, HTTP sessions, clients."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from typing import Any

Opener = Callable[
    [],
    AsyncIterator[Any]
    | Iterator[Any]
    | AbstractAsyncContextManager[Any]
    | AbstractContextManager[Any],
]


@dataclass(frozen=True, slots=True)
class Resource:
    """Marks a parameter that the worker fills in, in place of the payload.

        async def open_pool() -> AsyncIterator[asyncpg.Pool]:
            async with asyncpg.create_pool(URL) as pool:
                yield pool

        Pool = Annotated[asyncpg.Pool, Resource(open_pool)]

        @app.task
        async def charge(order: int, pool: Pool) -> None: ...

    `open` is a generator function with one `yield`, synchronous or not, or returns a context
    manager. A worker opens it once, at its start, and closes it after its drain; a worker process
    of `isolation="process"` has its own. Two markers with the same `open` are one resource.
    """

    open: Opener
