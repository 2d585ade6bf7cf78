"""Why a lock is taken in an earlier statement than the reads that it protects.

A statement reads what was committed when it began. One that waits for a lock and then counts, counts
what was there before it waited; only the locked row itself is read again. Both traps are shown here
as the one statement that one would write, and slips, beside what we do.
"""

# ruff: noqa: E501 - SQL

import asyncio

import pytest

from tests.support import ledger, storage
from tidemill.db import Database
from tidemill.models import WorkerIdentity
from tidemill.store import Store
from tidemill.store.claimer import Claimer

# Lock the limit, count what runs, take what may still run: all at once.
ONE_STATEMENT_CLAIM = """
WITH held AS MATERIALIZED (
    SELECT l.queue_id, l.max_running FROM tidemill.queue_limits l WHERE l.queue_id = $1 FOR UPDATE
), room AS MATERIALIZED (
    SELECT h.max_running - (SELECT count(*) FROM tidemill.leases x WHERE x.queue_id = h.queue_id) AS n FROM held h
), picked AS MATERIALIZED (
    SELECT r.* FROM tidemill.ready r WHERE r.queue_id = $1 ORDER BY r.seq
     LIMIT (SELECT greatest(0, n) FROM room) FOR UPDATE SKIP LOCKED
), taken AS (
    DELETE FROM tidemill.ready WHERE task_id IN (SELECT task_id FROM picked)
)
INSERT INTO tidemill.leases (task_id, lease_token, worker_id, locked_until, claimed_at, seq, queue_id, priority, retry_count, crash_count, limited_queue)
SELECT task_id, nextval('tidemill.lease_tokens'), $2, now() + interval '1 min', now(), seq, queue_id, priority, 0, 0, queue_id FROM picked
"""
# Lock the worker and mark it, if it holds nothing: all at once.
ONE_STATEMENT_DRAIN = """
UPDATE tidemill.workers w SET draining = true
 WHERE w.id = $1 AND NOT EXISTS (SELECT FROM tidemill.leases l WHERE l.worker_id = w.id)
"""
MAX_RUNNING = 3


async def limited(store: Store) -> tuple[int, WorkerIdentity]:
    """Return a queue that may run MAX_RUNNING of its 20 tasks, and a worker."""
    await storage.enqueue(store, 20)
    await store.queues.put("default", {"max_running": MAX_RUNNING})
    (queue,) = await store.queues.list()
    return queue.id, await storage.worker(store)


async def test_a_limit_counted_in_the_statement_that_locks_it_is_overshot(
    store: Store, db: Database
) -> None:
    queue, worker = await limited(store)
    async with db.transaction() as first:
        await first.execute(ONE_STATEMENT_CLAIM, queue, worker.id)
        second = asyncio.create_task(db.execute(ONE_STATEMENT_CLAIM, queue, worker.id))
        await storage.until_blocked(db)
    await second
    assert await storage.count(db, "leases") == 2 * MAX_RUNNING


async def test_a_limit_counted_after_it_is_locked_holds(store: Store, db: Database) -> None:
    """The same meeting, with our claim: it waits for the limit, then counts what came meanwhile."""
    queue, worker = await limited(store)
    claiming = Claimer(store, worker, queues=None, lease_seconds=60)
    async with db.transaction() as first:
        await first.execute(ONE_STATEMENT_CLAIM, queue, worker.id)
        second = asyncio.create_task(claiming.claim(10))
        await storage.until_blocked(db)
    assert await second == []
    assert await storage.count(db, "leases") == MAX_RUNNING


async def test_a_drain_that_looks_and_marks_in_one_statement_slips_past_a_claim(
    store: Store, db: Database
) -> None:
    """The worker is marked as idle, to be shut down, and holds a task."""
    await storage.enqueue(store)
    worker = await storage.worker(store)
    async with db.transaction() as claiming:
        await storage.claim(storage.store_on(claiming), worker, queues=["default"])
        draining = asyncio.create_task(db.execute(ONE_STATEMENT_DRAIN, worker.id))
        await storage.until_blocked(db)
    assert await draining == "UPDATE 1"
    assert await storage.count(db, "leases") == 1


@pytest.mark.parametrize("claim_first", [True, False])
async def test_a_drain_that_locks_then_looks_never_marks_a_worker_that_claims(
    store: Store, db: Database, claim_first: bool
) -> None:
    """Whoever comes first, the worker is either marked or holds a task, never both."""
    await storage.enqueue(store)
    worker = await storage.worker(store)
    if claim_first:
        async with db.transaction() as claiming:
            await storage.claim(storage.store_on(claiming), worker, queues=["default"])
            other = asyncio.create_task(drain(db, worker))
            await storage.until_blocked(db)
        assert await other is False
    else:
        async with db.transaction() as draining:
            await draining.execute(
                "SELECT FROM tidemill.workers WHERE id = $1 FOR UPDATE", worker.id
            )
            claim = asyncio.create_task(storage.claim(store, worker))
            await storage.until_blocked(db)
            await draining.execute(ONE_STATEMENT_DRAIN, worker.id)
        assert await claim == []
    marked = (await store.workers.heartbeat(worker)).draining
    assert marked is not claim_first
    assert (await storage.count(db, "leases") == 0) is marked
    await ledger.balance(store)


async def drain(db: Database, worker: WorkerIdentity) -> bool:
    """Mark the worker unless it holds something, as scale-down does: lock, then look."""
    async with db.transaction() as session:
        await session.execute("SELECT FROM tidemill.workers WHERE id = $1 FOR UPDATE", worker.id)
        return await session.execute(ONE_STATEMENT_DRAIN, worker.id) == "UPDATE 1"
