"""Worker processes: marks, predecessors, the dead, and what they held."""

import asyncio

import pytest

from tests.support import ledger, storage
from tidemill.db import Database
from tidemill.errors import NotFound
from tidemill.models import WorkerIdentity
from tidemill.states import Outcome
from tidemill.store import Store

POD = {"pod_uid": "u1", "container": "worker", "instance": "1"}


async def test_a_heartbeat_tells_the_marks(store: Store, db: Database) -> None:
    worker = await storage.worker(store)
    state = await store.workers.heartbeat(worker)
    assert (state.known, state.epoch, state.draining, state.cordoned) == (True, 1, False, False)
    await db.execute(
        "UPDATE tidemill.workers SET cordoned = true, seen_at = seen_at - interval '1 day'"
    )
    assert (await store.workers.heartbeat(worker)).cordoned
    age = "SELECT extract(epoch FROM now() - seen_at) < 60 FROM tidemill.workers"
    assert await db.fetchval(age) is True
    await store.workers.leave(worker)
    assert not (await store.workers.heartbeat(worker)).known


async def test_a_new_epoch_waits_for_the_claim_in_flight(store: Store, db: Database) -> None:
    worker = await storage.worker(store)
    await storage.enqueue(store)
    async with db.transaction() as claiming:
        open_store = Store.of(claiming)  # type: ignore[arg-type]  # a Session answers the same calls
        assert len(await storage.claim(open_store, worker)) == 1
        bumped = asyncio.create_task(store.workers.bump_epoch(worker))
        await storage.until_blocked(db)
    new = await bumped
    assert await store.workers.release_unknown(new, []) != []
    with pytest.raises(NotFound):
        await store.workers.bump_epoch(WorkerIdentity(999, 1))


async def test_what_a_worker_does_not_know_of_goes_back_uncharged(store: Store) -> None:
    worker, other = [await storage.worker(store) for _ in range(2)]
    await storage.enqueue(store, 6)
    known, lost = await storage.claim(store, worker, 2), await storage.claim(store, worker, 2)
    await storage.claim(store, other)
    released = await store.workers.release_unknown(worker, [task.lease for task in known])
    assert released == sorted(task.id for task in lost)
    assert (await ledger.balance(store))["running"] == 4
    again = await storage.claim(store, worker)
    assert [(task.id, task.attempt, task.lane) for task in again] == [
        (task.id, 1, 0) for task in lost
    ]


async def test_a_task_that_came_back_under_an_unknown_token_is_released_too(
    store: Store, db: Database
) -> None:
    """It lost the lease, and claimed the same task again without hearing of it."""
    worker = await storage.worker(store)
    await storage.enqueue(store)
    (old,) = await storage.claim(store, worker)
    await storage.expire_leases(db)
    await store.upkeep.recover(10, 3)
    await storage.claim(store, worker)
    assert await store.workers.release_unknown(worker, [old.lease]) == [old.id]


async def test_a_restarted_container_frees_what_its_predecessor_held(
    store: Store, db: Database
) -> None:
    old = await storage.worker(store, **POD)
    others = [
        await storage.worker(store, **(POD | {"pod_uid": "u2"})),
        await storage.worker(store, **(POD | {"container": "sidecar"})),
        await storage.worker(store),
    ]
    for each in (old, *others):
        await storage.enqueue(store)
        await storage.claim(store, each)
    await storage.worker(store, **POD)
    assert await store.upkeep.recover(10, 3) == {}
    await storage.worker(store, **(POD | {"instance": "2"}))
    assert await store.upkeep.recover(10, 3) == {("default", "lease_expired"): 1}
    held = await db.fetch("SELECT worker_id FROM tidemill.leases")
    assert {row["worker_id"] for row in held} == {each.id for each in others}
    assert not (await store.workers.heartbeat(old)).known


async def test_without_a_pod_uid_nobody_is_taken_for_dead(store: Store) -> None:
    await storage.worker(store, instance="1", container="worker")
    await storage.enqueue(store)
    await storage.claim(store, (await storage.worker(store, instance="1", container="worker")))
    await storage.worker(store, instance="2", container="worker")
    assert await store.upkeep.recover(10, 3) == {}


async def test_burying_covers_a_claim_that_was_in_flight(store: Store, db: Database) -> None:
    worker = await storage.worker(store, hostname="h", pid=7)
    await storage.enqueue(store, 4)
    await storage.claim(store, worker, 1)
    async with db.transaction() as claiming:
        open_store = Store.of(claiming)  # type: ignore[arg-type]  # as above
        assert len(await storage.claim(open_store, worker, 2)) == 2
        buried = asyncio.create_task(store.workers.bury(hostname="h", pid=7))
        await storage.until_blocked(db)
    assert await buried == 1
    assert (await store.upkeep.recover(10, 3)).total() == 3
    assert await store.workers.bury(hostname="h", pid=7) == 0
    assert await storage.claim(store, worker) == []


async def test_a_process_that_slept_for_a_week_loses_its_row_only_without_leases(
    store: Store, db: Database
) -> None:
    asleep, busy, fresh = [await storage.worker(store) for _ in range(3)]
    await storage.enqueue(store)
    await storage.claim(store, busy)
    await db.execute(
        "UPDATE tidemill.workers SET seen_at = now() - interval '8 days' WHERE id = ANY ($1)",
        [asleep.id, busy.id],
    )
    await store.upkeep.expire(10)
    for each in (asleep, busy):
        assert not (await store.workers.heartbeat(each)).known
        assert await storage.claim(store, each) == []
    await store.upkeep.expire(10)
    left = [row["id"] for row in await db.fetch("SELECT id FROM tidemill.workers ORDER BY id")]
    assert left == [busy.id, fresh.id]
    await storage.expire_leases(db)
    assert (await store.upkeep.recover(10, 3)).total() == 1
    await store.upkeep.expire(10)
    assert await storage.count(db, "workers") == 1


async def test_a_claim_that_races_the_removal_of_its_worker_leaves_no_lost_lease(
    store: Store, db: Database
) -> None:
    worker = await storage.worker(store)
    await storage.enqueue(store)
    await db.execute("UPDATE tidemill.workers SET seen_at = now() - interval '8 days'")
    async with db.transaction() as claiming:
        open_store = Store.of(claiming)  # type: ignore[arg-type]  # as above
        claimed = await storage.claim(open_store, worker)
        removing = asyncio.create_task(store.upkeep.expire(10))
        await storage.until_blocked(db)
    await removing
    await store.upkeep.expire(10)
    assert await store.leases.finish(storage.ends(claimed, Outcome.RELEASED)) != set()
    await storage.expire_leases(db)
    await ledger.balance(store)
