"""Extend and finish: where each outcome sends a task, and that only the lease's holder decides."""

import math
from typing import Any

import pytest

from tests.support import ledger, storage
from tidemill.db import Database
from tidemill.models import Finish, Lease
from tidemill.states import Outcome
from tidemill.store import Store

ERROR = {"type": "ValueError", "message": "no"}


async def last(db: Database, lease: Lease) -> dict[str, Any]:
    return (await storage.attempts(db, lease.task_id))[-1]


@pytest.mark.parametrize(
    ("outcome", "status", "retries"),
    [
        (Outcome.SUCCEEDED, "succeeded", 0),
        (Outcome.RETRY, "scheduled", 1),
        (Outcome.FAILED, "failed", 0),
        (Outcome.CANCELLED, "cancelled", 0),
        (Outcome.SNOOZED, "scheduled", 0),
        (Outcome.RELEASED, "queued", 0),
    ],
)
async def test_each_outcome_sends_the_task_where_it_belongs(
    store: Store, db: Database, outcome: Outcome, status: str, retries: int
) -> None:
    worker = await storage.worker(store)
    await storage.enqueue(store)
    (task,) = await storage.claim(store, worker)
    end = Finish(
        lease=task.lease,
        outcome=outcome,
        run_seconds=0.001,
        delay_seconds=60,
        error=ERROR,
        result=[1],
    )
    assert await store.leases.finish([end]) == {task.lease}
    seen = await store.tasks.get(task.id)
    assert seen is not None
    assert (seen.status, seen.retry_count, seen.crash_count) == (status, retries, 0)
    assert seen.last_error == ERROR
    assert seen.result == ([1] if seen.status.final else None)
    assert (seen.completed_at is not None) == seen.status.final
    row = await last(db, task.lease)
    assert (row["attempt"], row["worker_id"], row["token"]) == (1, worker.id, task.lease.token)
    assert (row["run_at"] is not None) == (status == "scheduled")
    assert await ledger.balance(store)


async def test_a_retry_and_a_release_keep_their_place(store: Store) -> None:
    worker = await storage.worker(store)
    await storage.enqueue(store, 3, priority=3)
    one, two, _ = claimed = await storage.claim(store, worker)
    await store.leases.finish(
        [
            *storage.ends([one], Outcome.RETRY, delay_seconds=0.0),
            *storage.ends([two], Outcome.RELEASED),
        ]
    )
    assert await store.upkeep.promote(10) == {"default": 1}
    again = await storage.claim(store, worker)
    assert [(task.id, task.seq, task.lane, task.priority) for task in again] == [
        (task.id, task.seq, 0, 3) for task in claimed[:2]
    ]
    assert [task.attempt for task in again] == [2, 1]
    assert again[0].lease.token > one.lease.token


async def test_started_is_known_only_where_it_ran(store: Store, db: Database) -> None:
    worker = await storage.worker(store)
    await storage.enqueue(store, 2)
    ran, idle = await storage.claim(store, worker)
    await store.leases.finish(
        [
            Finish(lease=ran.lease, outcome=Outcome.SUCCEEDED, run_seconds=1e6),
            Finish(lease=idle.lease, outcome=Outcome.RELEASED),
        ]
    )
    row = await last(db, ran.lease)
    assert row["started_at"] is not None
    assert row["started_at"] <= row["finished_at"]
    assert (await last(db, idle.lease))["started_at"] is None


async def test_only_the_current_token_counts(store: Store, db: Database) -> None:
    worker = await storage.worker(store)
    await storage.enqueue(store)
    (task,) = await storage.claim(store, worker)
    for stale in (Lease(task.id, task.lease.token - 1), Lease(task.id, task.lease.token + 1)):
        assert await store.leases.finish([Finish(lease=stale, outcome=Outcome.SUCCEEDED)]) == set()
        (answer,) = await store.leases.extend([stale], 30)
        assert (answer.held, answer.cancel_requested) == (False, False)
    assert await storage.attempts(db, task.id) == []
    assert (await ledger.balance(store))["running"] == 1


async def test_the_second_end_of_a_lease_changes_nothing(store: Store, db: Database) -> None:
    worker = await storage.worker(store)
    await storage.enqueue(store)
    (task,) = await storage.claim(store, worker)
    first, second = (
        Finish(lease=task.lease, outcome=outcome) for outcome in (Outcome.RETRY, Outcome.SUCCEEDED)
    )
    assert await store.leases.finish([first, second]) == {task.lease}
    assert await store.leases.finish([second]) == set()
    assert [row["outcome"] for row in await storage.attempts(db, task.id)] == ["retry"]
    assert (await ledger.balance(store))["scheduled"] == 1


@pytest.mark.parametrize(
    "outcome", [Outcome.LEASE_EXPIRED, Outcome.REPLAYED, Outcome.MOVED, Outcome.REPRIORITISED]
)
async def test_what_recovery_and_people_record_is_not_a_holders_to_say(
    store: Store, outcome: Outcome
) -> None:
    worker = await storage.worker(store)
    await storage.enqueue(store)
    claimed = await storage.claim(store, worker)
    with pytest.raises(ValueError, match="not a holder's"):
        await store.leases.finish(storage.ends(claimed, outcome))
    assert (await ledger.balance(store))["running"] == 1


@pytest.mark.parametrize("delay", [math.inf, math.nan, -5.0, 1e300])
async def test_a_senseless_delay_does_not_stop_the_batch(store: Store, delay: float) -> None:
    worker = await storage.worker(store)
    await storage.enqueue(store, 2)
    one, two = await storage.claim(store, worker)
    ends = storage.ends([one], Outcome.SNOOZED, delay_seconds=delay)
    ends += storage.ends([two], Outcome.SUCCEEDED)
    assert len(await store.leases.finish(ends)) == 2
    assert (await ledger.balance(store))["scheduled"] == 1


async def test_extend_moves_the_end_and_tells_of_a_cancel(store: Store, db: Database) -> None:
    worker = await storage.worker(store)
    await storage.enqueue(store, 3)
    tasks = await storage.claim(store, worker, lease_seconds=5)
    await db.execute(
        "UPDATE tidemill.leases SET cancel_requested_at = now() WHERE task_id = $1", tasks[1].id
    )
    lost = Lease(tasks[0].id, 0)
    asked = [tasks[2].lease, lost, tasks[1].lease, tasks[0].lease]
    answers = await store.leases.extend(asked, 100)
    assert [(each.lease, each.held, each.cancel_requested) for each in answers] == [
        (tasks[2].lease, True, False),
        (lost, False, False),
        (tasks[1].lease, True, True),
        (tasks[0].lease, True, False),
    ]
    left = "SELECT min(extract(epoch FROM locked_until - claimed_at)) FROM tidemill.leases"
    assert await db.fetchval(left) >= 100


async def test_an_expired_lease_that_nobody_took_is_still_its_holders(
    store: Store, db: Database
) -> None:
    worker = await storage.worker(store)
    await storage.enqueue(store, 2)
    one, two = await storage.claim(store, worker)
    await storage.expire_leases(db)
    (answer,) = await store.leases.extend([one.lease], 30)
    assert answer.held
    assert await store.leases.finish(storage.ends([two], Outcome.SUCCEEDED)) == {two.lease}
    assert await store.upkeep.recover(10, 3) == {}


async def test_a_task_without_a_body_can_still_end(store: Store, db: Database) -> None:
    worker = await storage.worker(store)
    (made,) = await storage.enqueue(store)
    await db.execute("DELETE FROM tidemill.tasks WHERE id = $1", made.id)
    claimed = await storage.claim(store, worker)
    assert [(task.has_body, task.type) for task in claimed] == [(False, "")]
    assert len(await store.leases.finish(storage.ends(claimed, Outcome.FAILED))) == 1
    assert await storage.count(db, "dead_letters") == 1
    assert await storage.count(db, "leases") == 0


async def test_what_was_recorded_can_be_asked_after_a_lost_answer(store: Store) -> None:
    worker = await storage.worker(store)
    made = await storage.enqueue(store, 3)
    one, two, three = await storage.claim(store, worker)
    await store.leases.finish(storage.ends([one], Outcome.SUCCEEDED))
    await store.leases.finish(storage.ends([two], Outcome.RELEASED))
    asked = [one.lease, two.lease, three.lease, Lease(one.id, two.lease.token)]
    assert await store.leases.recorded(asked, made[0].created_at) == {one.lease, two.lease}


async def test_nothing_to_do_needs_no_database(store: Store) -> None:
    assert await store.leases.finish([]) == set()
    assert await store.leases.extend([], 30) == []
