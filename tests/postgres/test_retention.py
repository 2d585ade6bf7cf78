"""Retention: ended tasks go when their keep time is over, and nothing else does."""

import asyncio

import pytest

from tests.support import past, storage
from tidemill.maintenance.retention import Retainer
from tidemill.settings import Settings
from tidemill.states import Outcome
from tidemill.store import Store

ENDS = (Outcome.SUCCEEDED, Outcome.FAILED, Outcome.CANCELLED)


@pytest.fixture
def retainer(store: Store, settings: Settings) -> Retainer:
    return Retainer(store, settings)


async def settle(*retainers: Retainer) -> None:
    """Run the duty until there is nothing left to do."""
    while any(await asyncio.gather(*(each.run_once() for each in retainers))):
        pass


async def test_a_day_past_its_keep_time_is_dropped(store: Store, retainer: Retainer) -> None:
    await past.ended(store, Outcome.SUCCEEDED, 3, ago=9)
    await past.ended(store, Outcome.CANCELLED, 2, ago=9, queue="other")
    young = await past.ended(store, Outcome.SUCCEEDED, 2, ago=6)
    await settle(retainer)
    assert await past.kept(store.db) == set(young)
    assert not await past.has_day(store.db, 9)
    assert not await past.has_day(store.db, 9, "attempts")
    assert await past.has_day(store.db, 6)
    assert await past.books(store) == {"succeeded": 2}


async def test_a_live_tasks_day_is_not_dropped(store: Store, retainer: Retainer) -> None:
    worker = await storage.worker(store)
    await past.ended(store, Outcome.SUCCEEDED, 5, ago=9)
    waiting = await storage.enqueue(store)
    later = await storage.enqueue(store, delay_seconds=3600)
    running = await storage.enqueue(store, queue="r")
    await storage.claim(store, worker, queues=["r"])
    live = [each.id for each in (*waiting, *later, *running)]
    old = await past.age(store.db, live, 9)
    await settle(retainer)
    assert await past.kept(store.db) == set(old)
    assert await past.has_day(store.db, 9)
    assert await past.books(store) == {"queued": 1, "scheduled": 1, "running": 1}


async def test_a_dead_letters_day_is_not_dropped_but_thinned(
    store: Store, retainer: Retainer
) -> None:
    await past.ended(store, Outcome.SUCCEEDED, 1200, ago=9)
    dead = await past.ended(store, Outcome.FAILED, ago=9)
    await settle(retainer)
    assert await past.kept(store.db) == set(dead)
    assert await storage.count(store.db, "attempts") == 1
    assert await past.books(store) == {"failed": 1}
    task = await store.tasks.get(dead[0])
    assert task is not None
    assert task.last_error == {"type": "E"}


async def test_dead_letters_go_with_all_that_is_theirs(store: Store, retainer: Retainer) -> None:
    await past.ended(store, Outcome.FAILED, 3, ago=31)
    young = await past.ended(store, Outcome.FAILED, ago=29)
    await settle(retainer)
    assert await past.kept(store.db) == set(young)
    assert await storage.count(store.db, "dead_letters") == 1
    assert await storage.count(store.db, "attempts") == 1
    assert await past.books(store) == {"failed": 1}


async def test_queues_keep_longer_and_shorter(store: Store, retainer: Retainer) -> None:
    day = 86400.0
    await past.keep(store.db, "long", succeeded=30 * day, failed=60 * day, cancelled=20 * day)
    await past.keep(store.db, "short", succeeded=2 * day, failed=day, cancelled=3 * day)
    for queue in ("long", "q", "short"):
        for outcome in ENDS:
            for ago in (5, 12, 25, 35):
                await past.ended(store, outcome, ago=ago, queue=queue)
    await settle(retainer)
    rows = await store.db.fetch(
        "SELECT queue, status, array_agg((extract(epoch FROM now() - created_at) / 86400)::integer ORDER BY created_at DESC) AS days "  # noqa: E501 - SQL
        "FROM tidemill.task_status GROUP BY 1, 2"
    )
    assert {(row["queue"], row["status"]): row["days"] for row in rows} == {
        ("long", "succeeded"): [5, 12, 25],
        ("long", "failed"): [5, 12, 25, 35],
        ("long", "cancelled"): [5, 12],
        ("q", "succeeded"): [5],
        ("q", "failed"): [5, 12, 25],
        ("q", "cancelled"): [5],
    }
    assert sum((await past.books(store)).values()) == 14
