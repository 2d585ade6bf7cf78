"""What the metrics say of a pool: open, lent, and who waits because all are lent."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from prometheus_client import REGISTRY

from tests.support import storage
from tidemill.db import Database
from tidemill.errors import DatabaseUnavailable
from tidemill.settings import Settings

MOST = 2
GAUGES = ("pool_size", "connections", "connections_in_use", "waiters")


def figures() -> list[float]:
    return [REGISTRY.get_sample_value(f"tidemill_database_{name}") or 0.0 for name in GAUGES]


def waited() -> float:
    return REGISTRY.get_sample_value("tidemill_database_wait_seconds_count") or 0.0


async def test_a_full_pool_shows_who_waits_and_an_idle_one_shows_nobody(
    settings: Settings,
) -> None:
    assert [REGISTRY.get_sample_value(f"tidemill_database_{name}") for name in GAUGES].count(
        None
    ) == 0  # there from the start
    before, waits = figures(), waited()

    def changed() -> list[float]:
        return [now - then for now, then in zip(figures(), before, strict=True)]

    db = Database.of(settings, application="tests", pool_size=MOST)
    async with AsyncExitStack() as lent:
        for _ in range(MOST):
            await lent.enter_async_context(db.session())
        assert waited() == waits
        waiting = [asyncio.create_task(db.fetchval("SELECT 1")) for _ in range(3)]

        async def all_wait() -> bool:
            return changed()[3] == len(waiting)

        await storage.until(all_wait)
        assert changed()[0] == MOST
        assert changed()[2] == MOST
        gone = waiting.pop()
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        assert changed()[2:] == [MOST, len(waiting)]
    assert await asyncio.gather(*waiting) == [1, 1]
    assert changed() == [MOST, MOST, 0, 0]
    assert waited() == waits + 3
    await db.close()
    assert changed() == [0, 0, 0, 0]


async def test_what_cannot_be_opened_is_not_counted() -> None:
    before = figures()
    nowhere = Database.of(
        Settings(database_url="postgresql://127.0.0.1:1/x"), application="tests", pool_size=MOST
    )
    with pytest.raises(DatabaseUnavailable):
        await nowhere.fetchval("SELECT 1")
    assert [now - then for now, then in zip(figures(), before, strict=True)] == [MOST, 0, 0, 0]
    await nowhere.close()
    assert figures() == before
