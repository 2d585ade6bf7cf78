"""Recovery of expired leases, promotion of due tasks."""

import asyncio

import pytest

from tests.support import ledger, storage
from tidemill.db import Database
from tidemill.models import NewTask
from tidemill.states import Outcome
from tidemill.store import Store

ALL = 1000


async def test_a_lost_lease_is_charged_and_goes_back_to_its_place(
    store: Store, db: Database
) -> None:
    worker = await storage.worker(store)
    await storage.enqueue(store, 3)
    (task,) = await storage.claim(store, worker, 1)
    await storage.expire_leases(db)
    assert await store.upkeep.recover(ALL, 3) == {("default", "lease_expired"): 1}
    again = await storage.claim(store, worker, 1)
    assert [(each.id, each.seq, each.retry_count, each.crash_count) for each in again] == [
        (task.id, task.seq, 1, 1)
    ]
    (row,) = await storage.attempts(db, task.id)
    assert (row["outcome"], row["attempt"], row["retry_count"]) == ("lease_expired", 1, 1)
    assert (row["worker_id"], row["token"]) == (worker.id, task.lease.token)
    assert '"LeaseExpired"' in row["error"]
    await ledger.balance(store)


async def test_the_late_holder_is_told(store: Store, db: Database) -> None:
    worker = await storage.worker(store)
    await storage.enqueue(store)
    claimed = await storage.claim(store, worker)
    await storage.expire_leases(db)
    await store.upkeep.recover(ALL, 3)
    assert await store.leases.finish(storage.ends(claimed, Outcome.SUCCEEDED)) == set()
    assert not (await store.leases.extend([claimed[0].lease], 30))[0].held
    again = await storage.claim(store, worker)
    assert await store.leases.finish(storage.ends(claimed, Outcome.SUCCEEDED)) == set()
    assert len(await store.leases.finish(storage.ends(again, Outcome.SUCCEEDED))) == 1
    assert (await ledger.balance(store))["succeeded"] == 1


async def test_live_leases_stay(store: Store, db: Database) -> None:
    worker = await storage.worker(store)
    await storage.enqueue(store, 2)
    one, _ = await storage.claim(store, worker)
    await storage.expire_leases(db, one.id)
    assert (await store.upkeep.recover(ALL, 3)).total() == 1
    assert await storage.count(db, "leases") == 1


@pytest.mark.parametrize(
    ("limits", "lives", "words"),
    [((0, 3), 1, "died or hung"), ((2, 9), 3, "died or hung"), ((9, 2), 2, "2 times on this task")],
)
async def test_what_keeps_losing_its_worker_becomes_a_dead_letter(
    store: Store, db: Database, limits: tuple[int, int], lives: int, words: str
) -> None:
    max_retries, max_crashes = limits
    worker = await storage.worker(store)
    (made,) = await storage.enqueue(store, max_retries=max_retries)
    outcomes: list[str] = []
    for _ in range(lives):
        assert len(await storage.claim(store, worker)) == 1
        await storage.expire_leases(db)
        outcomes += [outcome for _, outcome in await store.upkeep.recover(ALL, max_crashes)]
    assert outcomes == ["lease_expired"] * (lives - 1) + ["failed"]
    task = await store.tasks.get(made.id)
    assert task is not None
    assert (task.status, task.retry_count, task.crash_count) == ("failed", lives - 1, lives)
    assert task.last_error is not None
    assert words in task.last_error["message"]
    assert await ledger.balance(store)


async def test_a_cancelled_task_of_a_dead_worker_is_cancelled(store: Store, db: Database) -> None:
    worker = await storage.worker(store)
    (made,) = await storage.enqueue(store)
    await storage.claim(store, worker)
    await db.execute("UPDATE tidemill.leases SET cancel_requested_at = now()")
    await storage.expire_leases(db)
    assert await store.upkeep.recover(ALL, 3) == {("default", "cancelled"): 1}
    task = await store.tasks.get(made.id)
    assert task is not None
    assert task.status == "cancelled"
    await ledger.balance(store)


async def test_a_lease_without_a_body_does_not_leak(store: Store, db: Database) -> None:
    worker = await storage.worker(store)
    await storage.enqueue(store)
    await storage.claim(store, worker)
    await db.execute("DELETE FROM tidemill.tasks")
    await storage.expire_leases(db)
    assert await store.upkeep.recover(ALL, 3) == {("default", "failed"): 1}
    assert await storage.count(db, "leases") == 0
    assert (await store.stats.stats()).counts.failed_tasks == 1


async def test_recovery_takes_no_more_than_its_batch_over_all_workers(
    store: Store, db: Database
) -> None:
    for _ in range(3):
        await storage.enqueue(store, 10)
        await storage.claim(store, await storage.worker(store))
    await storage.expire_leases(db)
    assert [(await store.upkeep.recover(13, 3)).total() for _ in range(4)] == [13, 13, 4, 0]
    assert (await ledger.balance(store))["queued"] == 30


async def test_a_completion_that_came_first_wins(store: Store, db: Database) -> None:
    worker = await storage.worker(store)
    await storage.enqueue(store, 2)
    one, _ = await storage.claim(store, worker)
    await storage.expire_leases(db)
    async with db.transaction() as finishing:
        open_store = Store.of(finishing)  # type: ignore[arg-type]  # a Session answers the same calls
        assert len(await open_store.leases.finish(storage.ends([one], Outcome.SUCCEEDED))) == 1
        assert (await store.upkeep.recover(ALL, 3)).total() == 1
    assert (await store.upkeep.recover(ALL, 3)).total() == 0
    assert (await ledger.balance(store))["succeeded"] == 1


async def test_a_completion_that_came_second_waits_and_loses(store: Store, db: Database) -> None:
    worker = await storage.worker(store)
    await storage.enqueue(store)
    claimed = await storage.claim(store, worker)
    await storage.expire_leases(db)
    async with db.transaction() as recovering:
        open_store = Store.of(recovering)  # type: ignore[arg-type]  # as above
        assert (await open_store.upkeep.recover(ALL, 3)).total() == 1
        late = asyncio.create_task(store.leases.finish(storage.ends(claimed, Outcome.SUCCEEDED)))
        beat = asyncio.create_task(store.leases.extend([claimed[0].lease], 30))
        await storage.until_blocked(db, 2)
    assert await late == set()
    assert not (await beat)[0].held
    assert (await ledger.balance(store))["queued"] == 1


async def test_a_heartbeat_that_is_not_committed_yet_keeps_its_lease(
    store: Store, db: Database
) -> None:
    worker = await storage.worker(store)
    await storage.enqueue(store)
    claimed = await storage.claim(store, worker)
    await storage.expire_leases(db)
    async with db.transaction() as beating:
        open_store = Store.of(beating)  # type: ignore[arg-type]  # as above
        await open_store.leases.extend([claimed[0].lease], 30)
        assert await store.upkeep.recover(ALL, 3) == {}
    assert await store.upkeep.recover(ALL, 3) == {}
    assert await storage.count(db, "leases") == 1


async def test_two_recoveries_at_once_share_nothing(store: Store, db: Database) -> None:
    worker = await storage.worker(store)
    await storage.enqueue(store, 500)
    await storage.claim(store, worker, 500)
    await storage.expire_leases(db)
    found = await asyncio.gather(*(store.upkeep.recover(100, 3) for _ in range(8)))
    while more := await store.upkeep.recover(100, 3):
        found.append(more)
    assert sum(each.total() for each in found) == 500
    assert (await ledger.balance(store))["queued"] == 500


async def test_due_tasks_come_in_order_of_their_times(store: Store, db: Database) -> None:
    await store.tasks.enqueue(
        [NewTask(type="t", payload=n, delay_seconds=1000 - n, queue=f"q{n % 2}") for n in range(10)]
    )
    assert await store.upkeep.promote(ALL) == {}
    await storage.make_due(db)
    assert await store.upkeep.promote(4) == {"q0": 2, "q1": 2}
    assert await store.upkeep.promote(ALL) == {"q0": 3, "q1": 3}
    worker = await storage.worker(store)
    claimed = await storage.claim(store, worker, queues=["q0"])
    assert [(task.payload, task.lane) for task in claimed] == [(n, 1) for n in (8, 6, 4, 2, 0)]
    await ledger.balance(store)


async def test_promotions_at_once_share_nothing(store: Store, db: Database) -> None:
    await storage.enqueue(store, 500, delay_seconds=60)
    await storage.make_due(db)
    found = await asyncio.gather(*(store.upkeep.promote(50) for _ in range(12)))
    while more := await store.upkeep.promote(50):
        found.append(more)
    assert sum(each.total() for each in found) == 500
    assert (await ledger.balance(store))["queued"] == 500
