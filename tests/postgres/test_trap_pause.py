"""Pauses, deletions of queues and limits that change while claims and enqueues are on their way."""

import asyncio

import pytest

from tests.support import ledger, storage
from tidemill import sql
from tidemill.db import Database, Session
from tidemill.errors import Conflict
from tidemill.models import NewTask, TaskType
from tidemill.store import Store
from tidemill.store.claimer import Claimer


async def delete(session: Session, name: str) -> None:
    """Delete an empty queue in an open transaction."""
    await session.execute(sql.load("queue_delete_lock"), name)
    queue_id = await session.fetchval(sql.load("queue_id"), name)
    assert await session.fetchval(sql.load("queue_delete"), queue_id) == queue_id
    await session.execute(sql.load("queue_forget"), queue_id)


async def test_a_claim_that_begins_after_a_pause_takes_nothing(store: Store, db: Database) -> None:
    """A pause waits for nobody: what was being claimed already may still start, nothing later."""
    first, second = [await storage.worker(store) for _ in range(2)]
    await storage.enqueue(store, 2)
    async with db.transaction() as claiming:
        taken = await storage.claim(storage.store_on(claiming), first, 1)
        assert (await store.queues.pause("default")).paused
        assert await storage.claim(store, second) == []
    assert len(taken) == 1
    assert await storage.claim(store, first) == []
    await store.queues.resume("default")
    assert len(await storage.claim(store, second)) == 1
    await ledger.balance(store)


async def test_a_resume_that_meets_a_task_being_set_aside_brings_it_back(
    store: Store, db: Database
) -> None:
    """Else it would wait for an hour, though its type runs again."""
    await store.types.register([TaskType(name="t")], app="a:b")
    await storage.enqueue(store)
    await store.types.pause("t")
    claimed = await storage.claim(store, await storage.worker(store))
    async with db.transaction() as parking:
        assert await storage.store_on(parking).leases.park(claimed) == {claimed[0].lease}
        resuming = asyncio.ensure_future(store.types.resume("t"))
        await storage.until_blocked(db)
    assert await resuming == {"default"}
    assert (await ledger.balance(store))["queued"] == 1


async def test_a_task_whose_type_was_resumed_meanwhile_is_not_set_aside(
    store: Store, db: Database
) -> None:
    await store.types.register([TaskType(name="t")], app="a:b")
    await storage.enqueue(store)
    await store.types.pause("t")
    claimed = await storage.claim(store, await storage.worker(store))
    assert claimed[0].type_paused
    async with db.transaction() as resuming:
        await resuming.fetchval(sql.load("type_pause"), "t", False)
        parking = asyncio.ensure_future(store.leases.park(claimed))
        await storage.until_blocked(db)
    assert await parking == set()
    assert (await store.leases.extend([claimed[0].lease], 60))[0].held
    await ledger.balance(store)


async def test_a_paused_type_in_front_holds_up_nobody_behind_it(store: Store) -> None:
    """A batch that was set aside whole is no sign that the queue is empty."""
    await store.types.register([TaskType(name="paused")], app="a:b")
    await store.types.pause("paused")
    await storage.enqueue(store, 30, type="paused")
    await storage.enqueue(store, type="other")
    claiming = Claimer(store, await storage.worker(store), queues=None, lease_seconds=60)
    claims = 0
    found: list[str] = []
    while not found and claiming.more:
        claims += 1
        found = [task.type for task in await claiming.claim(10)]
    assert (found, claims) == (["other"], 4)
    await ledger.balance(store)


async def test_a_queue_with_an_enqueue_on_its_way_is_not_deleted(
    store: Store, db: Database
) -> None:
    await store.queues.put("q", {})
    async with db.transaction() as producing:
        await producing.execute("SELECT tidemill.enqueue('t', queue => 'q')")
        deleting = asyncio.ensure_future(store.queues.delete("q"))
        await storage.until_blocked(db)
    with pytest.raises(Conflict, match="holds tasks"):
        await deleting
    assert (await ledger.balance(store))["queued"] == 1


async def test_an_enqueue_that_meets_the_deletion_of_its_queue_makes_it_anew(
    store: Store, db: Database
) -> None:
    """Nothing is accepted into a queue that is gone."""
    await store.queues.put("q", {"priority": 5})
    async with db.transaction() as deleting:
        await delete(deleting, "q")
        producing = asyncio.ensure_future(store.tasks.enqueue([NewTask(type="t", queue="q")]))
        await storage.until_blocked(db)
    (made,) = await producing
    assert (made.queue, made.priority) == ("q", 0)
    assert len(await storage.claim(store, await storage.worker(store))) == 1
    await ledger.balance(store)


async def test_a_move_that_meets_the_deletion_of_the_other_queue_makes_it_anew(
    store: Store, db: Database
) -> None:
    (made,) = await storage.enqueue(store)
    await store.queues.put("q", {})
    async with db.transaction() as deleting:
        await delete(deleting, "q")
        moving = asyncio.ensure_future(store.acts.move([made.id], "q"))
        await storage.until_blocked(db)
    assert (await moving)[made.id].queue == "q"
    found = await storage.claim(store, await storage.worker(store), queues=["q"])
    assert [task.id for task in found] == [made.id]
    await ledger.balance(store)
