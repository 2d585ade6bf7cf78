"""Marks on workers: an idle one drains, a busy one is cordoned, and no claim slips past a mark."""

import asyncio

import pytest

from tests.support import storage
from tidemill.db import Database
from tidemill.errors import StaleTerm
from tidemill.models import NewTask, WorkerIdentity, WorkerInfo
from tidemill.states import Outcome
from tidemill.store import Store
from tidemill.store.claimer import Claimer
from tidemill.store.marks import Marks


async def worker(store: Store, pod: str, name: str = "w") -> WorkerIdentity:
    info = WorkerInfo(
        name=name,
        slots=1,
        queues=("*",),
        version="0",
        hostname="h",
        pid=1,
        pod_uid=pod,
        container=name,
        instance="1",
    )
    return await store.workers.register(info)


async def test_only_workers_without_tasks_drain(store: Store) -> None:
    idle, busy = await worker(store, "a"), await worker(store, "b")
    await storage.enqueue(store, 1)
    assert len(await storage.claim(store, busy, 1)) == 1
    assert await store.marks.write(Marks(drain=[idle.id, busy.id]), term=1) == {idle.id}
    await storage.enqueue(store, 2)
    assert await storage.claim(store, idle, 1) == []
    assert len(await storage.claim(store, busy, 1)) == 1
    found = {each.pod_uid: each for each in await store.marks.workers_of(["a", "b", "none"])}
    assert (found["a"].draining, found["a"].leases) == (True, 0)
    assert (found["b"].draining, found["b"].leases) == (False, 2)
    assert (await store.workers.heartbeat(idle)).draining


async def test_a_pod_drains_as_a_whole_or_not_at_all(store: Store) -> None:
    one, other = await worker(store, "pod", "one"), await worker(store, "pod", "other")
    await storage.enqueue(store, 1)
    await storage.claim(store, other, 1)
    assert await store.marks.write(Marks(drain=[one.id, other.id]), term=1) == set()


async def test_a_cordoned_worker_claims_nothing_and_goes_on(store: Store) -> None:
    busy = await worker(store, "a")
    await storage.enqueue(store, 3)
    tasks = await storage.claim(store, busy, 1)
    assert await store.marks.write(Marks(cordon=[busy.id]), term=1) == set()
    assert await storage.claim(store, busy, 1) == []
    assert await store.leases.finish(storage.ends(tasks, Outcome.SUCCEEDED))
    assert await store.marks.write(Marks(drain=[busy.id]), term=1) == {busy.id}


async def test_a_mark_is_taken_back_and_then_it_claims_again(store: Store) -> None:
    idle = await worker(store, "a")
    await store.marks.write(Marks(drain=[idle.id]), term=1)
    await store.marks.write(Marks(unmark=[idle.id]), term=1)
    await storage.enqueue(store, 1)
    assert len(await storage.claim(store, idle, 1)) == 1
    assert await store.marks.write(Marks(force=[idle.id]), term=1) == {idle.id}


async def test_marks_of_an_older_term_are_refused(store: Store) -> None:
    idle = await worker(store, "a")
    assert await store.marks.write(Marks(cordon=[idle.id]), term=5) == set()
    fresh = await worker(store, "b")
    for stale in (
        Marks(drain=[idle.id]),
        Marks(unmark=[idle.id]),
        Marks(cordon=[fresh.id], force=[idle.id]),
    ):
        with pytest.raises(StaleTerm) as told:
            await store.marks.write(stale, term=4)
        assert told.value.term == 5
    with pytest.raises(StaleTerm):
        await store.marks.bury([idle.id, fresh.id], term=4)
    (other,) = await store.marks.workers_of(["b"])
    assert (other.draining, other.cordoned) == (False, False)
    (found,) = await store.marks.workers_of(["a"])
    assert (found.draining, found.cordoned) == (False, True)
    assert await store.marks.write(Marks(drain=[idle.id]), term=6) == {idle.id}


async def test_terms_rise_above_all_that_were_drawn_seen_or_written(store: Store) -> None:
    assert await store.marks.draw_term(0) == 1
    assert await store.marks.draw_term(0) == 2
    assert await store.marks.draw_term(41) == 42  # what a Lease says, of a database of before
    marked = await worker(store, "a")
    await store.marks.write(Marks(cordon=[marked.id]), term=99)
    assert await store.marks.draw_term(0) == 100


async def test_two_that_draw_at_once_get_different_terms(store: Store) -> None:
    drawn = await asyncio.gather(*(store.marks.draw_term(5) for _ in range(20)))
    assert sorted(drawn) == list(range(6, 26))


async def test_no_claim_slips_past_a_drain(store: Store, db: Database) -> None:
    """Claims and drains at once, many times: a drained worker never holds a task."""
    workers = [await worker(store, f"pod-{n}") for n in range(6)]
    claimers = [Claimer(store, each, queues=["default"], lease_seconds=600) for each in workers]
    drained_idle = 0
    for _ in range(25):
        await store.tasks.enqueue([NewTask(type="t") for _ in range(3)])
        claims = asyncio.gather(*(each.claim(1) for each in claimers))
        ids = [each.id for each in workers]
        draining, taken = await asyncio.gather(store.marks.write(Marks(drain=ids), term=1), claims)
        holding = await db.fetch("SELECT DISTINCT worker_id FROM tidemill.leases")
        assert not draining & {row["worker_id"] for row in holding}
        drained_idle += len(draining)
        tasks = [task for each in taken for task in each]
        await store.leases.finish(storage.ends(tasks, Outcome.SUCCEEDED))
        await store.marks.write(Marks(unmark=ids), term=1)
        await db.execute("DELETE FROM tidemill.ready")
    assert drained_idle > 0


async def test_leases_of_the_buried_expire_at_once_and_they_claim_nothing(store: Store) -> None:
    dead, other = await worker(store, "a"), await worker(store, "b")
    await storage.enqueue(store, 3)
    (task,) = await storage.claim(store, dead, 1, lease_seconds=3600)
    await storage.claim(store, other, 1, lease_seconds=3600)
    assert await store.marks.bury([dead.id], term=1) == 1
    assert await storage.claim(store, dead, 1) == []
    assert (await store.upkeep.recover(10, 3)).total() == 1
    assert not await store.leases.finish(storage.ends([task], Outcome.SUCCEEDED))
    assert await store.marks.bury([dead.id], term=1) == 0
