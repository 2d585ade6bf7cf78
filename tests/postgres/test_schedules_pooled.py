"""Schedules through PgBouncer in transaction mode: sessions change hands, slots still fire once."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.support.pgbouncer import pgbouncer
from tests.support.postgres import Server, settings_of
from tests.support.schedules import pass_time, put, settled
from tidemill.db import Database
from tidemill.store import Store
from tidemill.store.firing import EnqueueRules

pytestmark = pytest.mark.timeout(600)  # the first of them may have to install it

SCHEDULERS, SCHEDULES, ROUNDS = 8, 30, 5


async def fire_all(store: Store) -> None:
    while (await store.schedules.fire(4)).schedules:
        pass


async def test_schedules_fire_once_through_a_transaction_pooler(
    server: Server, database_url: str, db: Database, store: Store
) -> None:
    async with AsyncExitStack() as stack:
        bouncer = stack.enter_context(pgbouncer(server.url))
        url = bouncer.url(database_url.rpartition("/")[2])
        settings = settings_of(url, database_pooler="transaction")
        pools = [Database.of(settings, application="tests") for _ in range(SCHEDULERS)]
        for each in pools:
            stack.push_async_callback(each.close)
        pooled = [Store.of(each) for each in pools]
        for n in range(SCHEDULES):
            await put(pooled[n % SCHEDULERS], f"s{n}")
        for _ in range(ROUNDS):
            await pass_time(db)
            await asyncio.gather(*(fire_all(each) for each in pooled))
        await pooled[0].schedules.pause("s0")
        await put(pooled[1], "s1", type="unknown")
        await pass_time(db)
        done = await pooled[2].schedules.fire(100, EnqueueRules(unknown_types="reject"))
        assert "s1" in done.failed
        await pooled[0].schedules.run_now("s0")
    assert await settled(store) == {f"s{n}": ROUNDS for n in range(SCHEDULES)}
