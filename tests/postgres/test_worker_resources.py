"""Resources of a real worker: open before its first claim, closed after its drain."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated

import asyncpg
import pytest

from tests.support import ledger
from tests.support.worker import finished
from tidemill import App, NewTask, Resource
from tidemill.client import Client
from tidemill.errors import ConfigurationError
from tidemill.settings import Settings
from tidemill.store import Store
from tidemill_worker import Worker


async def test_handlers_share_one_pool_that_is_closed_after_the_drain(
    app: App, settings: Settings, store: Store, client: Client
) -> None:
    pools: list[asyncpg.Pool] = []
    go_on = asyncio.Event()

    async def open_pool() -> AsyncIterator[asyncpg.Pool]:
        async with asyncpg.create_pool(settings.database_url, min_size=1, max_size=2) as pool:
            pools.append(pool)
            yield pool

    @app.task
    async def add(x: int, pool: Annotated[asyncpg.Pool, Resource(open_pool)]) -> int:
        if x == 2:
            await go_on.wait()
        return int(await pool.fetchval("SELECT $1::int + 1", x))

    worker = Worker(app, settings=settings)
    await worker.start()
    stored = await client.enqueue_many([NewTask(type="add", payload={"x": x}) for x in (1, 2)])
    assert (await finished(store, stored[0].id)).result == 2
    stopping = asyncio.create_task(worker.stop())
    await asyncio.sleep(0)  # the drain has begun; the second task still needs the pool
    go_on.set()
    await stopping
    assert (await finished(store, stored[1].id)).result == 3
    assert len(pools) == 1
    assert pools[0].is_closing()
    await ledger.balance(store)


async def test_a_worker_whose_resource_cannot_be_opened_says_so_and_claims_nothing(
    app: App, settings: Settings, store: Store, client: Client
) -> None:
    async def open_nothing() -> AsyncIterator[str]:
        raise ConnectionRefusedError("nobody there")
        yield ""

    @app.task
    async def task(it: Annotated[str, Resource(open_nothing)]) -> str:
        return it

    stored = await client.enqueue(NewTask(type="task"))
    with pytest.raises(ConfigurationError, match=r"open_nothing: opening it failed: Connection"):
        await Worker(app, settings=settings).start()
    found = await store.tasks.get(stored.id)
    assert found is not None
    assert found.status == "queued"
    assert (
        await store.db.fetchval("SELECT count(*) FROM tidemill.workers WHERE left_at IS NULL") == 0
    )

    async with Worker(app, settings=settings, resources={open_nothing: "a fake"}):
        assert (await finished(store, stored.id)).result == "a fake"


async def test_a_worker_that_is_slow_to_open_claims_nothing_before(
    app: App, settings: Settings, store: Store, client: Client
) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def open_slowly() -> AsyncIterator[str]:
        asked.set()
        await go_on.wait()
        yield "open"

    @app.task
    async def task(it: Annotated[str, Resource(open_slowly)]) -> str:
        return it

    stored = await client.enqueue(NewTask(type="task"))
    worker = Worker(app, settings=replace(settings, heartbeat_seconds=0.2))
    starting = asyncio.create_task(worker.start())
    await asked.wait()
    assert not worker.ready
    assert not worker.leases
    go_on.set()
    await starting
    assert (await finished(store, stored.id)).result == "open"
    await worker.stop()
