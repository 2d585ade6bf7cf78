"""What scaling reads: what arrives, what falls due soon, and how many connections are left."""

import asyncpg
import pytest

from tests.support import storage
from tidemill.db import Database
from tidemill.models import QueueSnapshot
from tidemill.states import Outcome
from tidemill.store import Store


async def snapshots(store: Store, **due_by_queue: float) -> dict[str, QueueSnapshot]:
    found = await store.scaling.snapshots(cap=100, due_seconds=60, due_by_queue=due_by_queue)
    return {each.queue: each for each in found}


async def test_a_delayed_task_arrives_when_it_falls_due(store: Store, db: Database) -> None:
    await storage.enqueue(store, 6, queue="later", delay_seconds=30)
    assert (await snapshots(store))["later"].arrival_per_second == 0
    await db.execute("UPDATE tidemill.scheduled SET run_at = now()")
    await store.upkeep.promote(10)
    assert (await snapshots(store))["later"].arrival_per_second == pytest.approx(6 / 60)


async def test_a_claim_takes_no_arrival_back_and_a_release_is_one(store: Store) -> None:
    await storage.enqueue(store, 6)
    worker = await storage.worker(store)
    tasks = await storage.claim(store, worker, 2)
    (before,) = (await snapshots(store)).values()
    assert before.arrival_per_second == pytest.approx(6 / 60)
    await store.leases.finish(storage.ends(tasks, Outcome.RELEASED))
    (after,) = (await snapshots(store)).values()
    assert after.arrival_per_second == pytest.approx(8 / 60)


async def test_each_queue_has_its_own_horizon(store: Store) -> None:
    for queue in ("near", "far"):
        await storage.enqueue(store, 2, queue=queue, delay_seconds=30)
        await storage.enqueue(store, 3, queue=queue, delay_seconds=3000)
    found = await snapshots(store, far=4000.0, gone=1.0)
    assert {name: each.due_soon for name, each in found.items()} == {"near": 2, "far": 5}


async def test_free_connections_are_what_may_still_be_opened(
    store: Store, db: Database, database_url: str
) -> None:
    name = await db.fetchval("SELECT quote_ident(current_database())")
    await db.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 20")
    before = await store.scaling.free_connections()
    assert before < 20
    others = [await asyncpg.connect(database_url) for _ in range(2)]
    try:
        assert await store.scaling.free_connections() == before - 2
    finally:
        for each in others:
            await each.close()
