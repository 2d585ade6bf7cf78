"""Tasks that were not started by their expires_at: cancelled while they still wait."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.support import past, storage
from tidemill.acts import Verdict
from tidemill.db import Database
from tidemill.errors import IdempotencyConflict
from tidemill.maintenance.retention import Lapser
from tidemill.models import NewTask
from tidemill.states import Outcome, Status
from tidemill.store import Store


async def enqueue(
    store: Store, count: int = 1, *, seconds: float = -1, **fields: Any
) -> list[UUID]:
    """Enqueue tasks that expire in so many seconds."""
    expires = datetime.now(UTC) + timedelta(seconds=seconds)
    return [each.id for each in await storage.enqueue(store, count, expires_at=expires, **fields)]


async def expire(store: Store) -> int:
    """Run the duty until it has seen all; return how many tasks it cancelled."""
    cancelled, seen = 0, 1
    while seen:
        seen, now = await store.retention.expire_waiting(100)
        cancelled += now
        if seen < 100:
            break
    return cancelled


async def test_waiting_tasks_past_their_time_are_cancelled(store: Store) -> None:
    queued = await enqueue(store)
    delayed = await enqueue(store, delay_seconds=60)
    await enqueue(store, seconds=60)
    await storage.enqueue(store)
    assert await expire(store) == 2
    for task_id in queued + delayed:
        task = await store.tasks.get(task_id)
        assert task is not None
        assert task.status is Status.CANCELLED
        assert task.last_error is not None
        assert task.last_error["type"] == "Expired"
        assert [each.event_type for each in await store.tasks.history(task_id)][-1] == (
            "task_cancelled"
        )
    assert await past.books(store) == {"queued": 2, "cancelled": 2}


async def test_the_key_of_an_expired_task_is_free_again(store: Store) -> None:
    (first,) = await enqueue(store, idempotency_key="k")
    with pytest.raises(IdempotencyConflict):
        await enqueue(store, idempotency_key="k", type="other")
    assert await expire(store) == 1
    (second,) = await enqueue(store, seconds=60, idempotency_key="k", type="other")
    assert second != first
    assert await past.books(store) == {"queued": 1, "cancelled": 1}


async def test_more_than_a_batch_with_the_same_time(store: Store) -> None:
    await enqueue(store, 350)
    assert await expire(store) == 350
    assert await store.retention.expire_waiting(1000) == (350, 0), "the last minute, once more"
    assert await past.books(store) == {"cancelled": 350}


async def test_what_was_looked_at_is_not_looked_at_again(store: Store) -> None:
    """But for a minute: an enqueue may commit late, a task may be on its way to its queue."""
    ids = await enqueue(store, 5)
    assert await store.retention.expire_waiting(100) == (5, 5)
    assert await store.retention.expire_waiting(100) == (5, 0)
    await store.db.execute(
        "UPDATE tidemill.tasks SET expires_at = expires_at - interval '1 hour' WHERE id = ANY ($1)",
        ids,
    )
    assert await store.retention.expire_waiting(100) == (0, 0)


async def test_a_claim_that_comes_first_wins(store: Store) -> None:
    worker = await storage.worker(store)
    (task,) = await enqueue(store)
    async with store.db.transaction() as session:  # as a claim that has not committed
        await session.execute("SELECT FROM tidemill.ready WHERE task_id = $1 FOR UPDATE", task)
        assert await store.retention.expire_waiting(100) == (1, 0)
    claimed = await storage.claim(store, worker)
    assert [each.id for each in claimed] == [task]
    assert await expire(store) == 0
    await store.leases.finish(storage.ends(claimed, Outcome.SUCCEEDED))
    assert await past.books(store) == {"succeeded": 1}


async def test_claims_cancels_and_expiry_at_once_end_each_task_once(store: Store) -> None:
    worker = await storage.worker(store)
    ids = await enqueue(store, 300)
    acts, claimed, *_ = await asyncio.gather(
        store.acts.cancel(ids[:150]),
        storage.claim(store, worker, 200),
        store.retention.expire_waiting(300),
        store.retention.expire_waiting(300),
    )
    await store.leases.finish(storage.ends(claimed, Outcome.SUCCEEDED))
    await expire(store)
    assert all(act.verdict is not Verdict.MISSING for act in acts.values())
    statuses = await past.books(store)
    assert sum(statuses.values()) == 300
    assert statuses.get("succeeded", 0) + statuses.get("cancelled", 0) == 300
    assert await storage.count(store.db, "attempts") == 300


async def test_an_enqueue_that_commits_late_is_found(store: Store, db: Database) -> None:
    async with db.transaction() as session:
        await session.execute(
            "SELECT tidemill.enqueue('t', expires_at => now() - interval '1 second')"
        )
        assert await store.retention.expire_waiting(100) == (0, 0)
    assert await expire(store) == 1


async def test_the_duty_asks_to_go_on_while_there_is_more(store: Store) -> None:
    await store.tasks.enqueue(
        [NewTask(type="t", expires_at=datetime.now(UTC) - timedelta(days=1))] * 1001
    )
    duty = Lapser(store, 30)
    assert await duty.run_once() == 1000
    assert await duty.run_once() == 0
    assert await past.books(store) == {"cancelled": 1001}
