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


def a_minute_of(tasks: int) -> object:
    """Return the rate of so many tasks in the last 60 to 70 s: counting begins at a bucket."""
    return pytest.approx(tasks / 65, rel=0.09)


async def test_a_delayed_task_arrives_when_it_falls_due(store: Store, db: Database) -> None:
    await storage.enqueue(store, 6, queue="later", delay_seconds=30)
    assert (await snapshots(store))["later"].arrival_per_second == 0
    await db.execute("UPDATE tidemill.scheduled SET run_at = now()")
    await store.upkeep.promote(10)
    assert (await snapshots(store))["later"].arrival_per_second == a_minute_of(6)


async def test_a_claim_takes_no_arrival_back_and_a_release_is_one(store: Store) -> None:
    await storage.enqueue(store, 6)
    worker = await storage.worker(store)
    tasks = await storage.claim(store, worker, 2)
    (before,) = (await snapshots(store)).values()
    assert before.arrival_per_second == a_minute_of(6)
    await store.leases.finish(storage.ends(tasks, Outcome.RELEASED))
    (after,) = (await snapshots(store)).values()
    assert after.arrival_per_second == a_minute_of(8)


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


async def test_the_rate_of_arrivals_is_exact_whenever_it_is_asked_for(
    store: Store, db: Database
) -> None:
    await storage.enqueue(store, 1)
    every_second = """
        INSERT INTO tidemill.throughput_deltas (queue_id, at, started)
        SELECT id, now() - n * interval '1 s', 3 FROM tidemill.queues, generate_series(1, 300) AS n
    """
    await db.execute(every_second)
    for fold in (0, 1000):
        await store.upkeep.fold(fold)  # then they are buckets of 10 s
        (found,) = (await snapshots(store)).values()
        assert found.arrival_per_second == pytest.approx(3, rel=0.05)
