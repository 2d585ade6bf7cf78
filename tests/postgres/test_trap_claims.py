"""What a claim must hold under many claimers, a steady stream, and an old snapshot."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tests.support import ledger, plans, storage
from tidemill.db import Database, Session
from tidemill.models import ClaimedTask, Lease, NewTask, WorkerIdentity
from tidemill.states import Outcome
from tidemill.store import Store
from tidemill.store.claimer import Claimer
from tidemill.store.leases import ClaimPlan, LeaseStore

CLAIMERS, LIMIT, TASKS = 8, 3, 120
DEAD_ROWS = 100_000


async def claimer(store: Store, *queues: str, strict: bool = False) -> Claimer:
    worker = await storage.worker(store)
    return Claimer(store, worker, queues=queues or None, lease_seconds=60, strict=strict)


async def test_eight_claimers_never_run_more_than_max_running(store: Store) -> None:
    """A lease is there from before its claim is answered until after its end is sent."""
    await store.queues.put("default", {"max_running": LIMIT})
    await storage.enqueue(store, TASKS)
    running: set[Lease] = set()
    most = 0
    left = TASKS

    async def work() -> None:
        nonlocal most, left
        claiming = await claimer(store)
        while left:
            tasks = await claiming.claim(2)
            running.update(task.lease for task in tasks)
            most = max(most, len(running))
            await asyncio.sleep(0)  # let others claim while these run
            running.difference_update(task.lease for task in tasks)
            recorded = await store.leases.finish(storage.ends(tasks, Outcome.SUCCEEDED))
            left -= len(recorded)

    async with storage.patience():
        await asyncio.gather(*(work() for _ in range(CLAIMERS)))
    assert 0 < most <= LIMIT
    assert (await ledger.balance(store))["succeeded"] == TASKS


async def test_many_claimers_start_no_more_than_bucket_and_rate_allow(
    store: Store, db: Database
) -> None:
    bucket, per_second = 5, 20
    await store.queues.put("default", {"rate_tasks": bucket, "rate_seconds": bucket / per_second})
    await storage.enqueue(store, 500)
    began = await db.fetchval("SELECT refilled_at FROM tidemill.queue_limits")
    started = 0

    async def work() -> None:
        nonlocal started
        claiming = await claimer(store)
        while started < 4 * bucket:
            tasks = await claiming.claim(10)
            started += len(tasks)

    async with storage.patience():
        await asyncio.gather(*(work() for _ in range(CLAIMERS)))
    seconds = await db.fetchval(
        "SELECT date_part('epoch', max(claimed_at) - $1) FROM tidemill.leases", began
    )
    assert await storage.count(db, "leases") == started <= bucket + per_second * seconds + 1


async def test_a_low_priority_runs_at_last_under_a_steady_stream_of_high(
    store: Store, db: Database
) -> None:
    claiming = await claimer(store)
    await storage.enqueue(store, 30, priority=9)
    (low,) = await storage.enqueue(store, priority=-9)
    await db.execute(
        "UPDATE tidemill.ready SET ready_at = ready_at - interval '11 minutes' WHERE priority < 0"
    )
    claims = 0
    found: list[ClaimedTask] = []
    async with storage.patience():
        while low.id not in {task.id for task in found}:
            claims += 1
            await storage.enqueue(store, 10, priority=9)
            found = await claiming.claim(10)
    assert claims > 20, "until then the stream came first"


async def test_without_the_guard_a_low_priority_waits_for_ever(store: Store, db: Database) -> None:
    await store.queues.put("default", {"starvation_seconds": 0})
    claiming = await claimer(store)
    await storage.enqueue(store, 30, priority=9)
    await storage.enqueue(store, priority=-9)
    await db.execute("UPDATE tidemill.ready SET ready_at = ready_at - interval '1 day'")
    for _ in range(60):
        await storage.enqueue(store, 10, priority=9)
        assert {task.priority for task in await claiming.claim(10)} == {9}


async def test_bursts_of_a_known_priority_hide_no_other(store: Store) -> None:
    """A worker that had time for it once took what it knew of only, and slept."""
    claiming = await claimer(store)
    await storage.enqueue(store, 25, priority=5)
    await claiming.claim(10)
    await storage.enqueue(store, priority=-5)
    priorities: set[int] = set()
    for _ in range(5):
        while tasks := await claiming.claim(10):
            priorities |= {task.priority for task in tasks}
        await storage.enqueue(store, 25, priority=5)
    assert priorities == {5, -5}


async def test_a_strict_order_with_a_limited_queue_between_finds_what_is_behind(
    store: Store,
) -> None:
    await store.queues.put("limited", {"max_running": 1})
    claiming = await claimer(store, "first", "limited", "last", strict=True)
    await storage.enqueue(store, queue="first")
    assert [task.queue for task in await claiming.claim(10)] == ["first"]
    await storage.enqueue(store, 2, queue="last")
    claiming.hear("last")
    found: list[str] = []
    async with storage.patience():
        while not found:
            found = [task.queue for task in await claiming.claim(10)]
    assert found == ["last", "last"]


class Watched(LeaseStore):
    """Leases whose claims are explained first, and undone: `pages` that each touched."""

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self._watched = db
        self.pages: list[tuple[bool, int]] = []

    async def claim(
        self, worker: WorkerIdentity, plan: ClaimPlan, limit: int, lease_seconds: float
    ) -> list[ClaimedTask]:
        arguments: list[Any] = [
            worker.id,
            worker.epoch,
            limit,
            lease_seconds,
            [each.queue_id for each in plan.ranges],
            [each.priority for each in plan.ranges],
            [each.lane for each in plan.ranges],
            [each.least_seq for each in plan.ranges],
            [each.beyond for each in plan.ranges],
            list(plan.whole),
            list(plan.guarded),
            False,
        ]
        async with self._watched.session() as session:
            explained = await plans.explained(session.connection, "claim", *arguments)
        self.pages.append((bool(plan.whole), plans.touched(explained)))
        return await super().claim(worker, plan, limit, lease_seconds)


async def hold_dead_rows(db: Database, session: Session) -> None:
    """Pin a snapshot in `session`, then claim what cannot be vacuumed as long as it is held."""
    await session.fetchval("SELECT count(*) FROM tidemill.ready")
    await db.execute(
        "INSERT INTO tidemill.ready (task_id, queue_id, priority, lane, ready_at) "
        "SELECT gen_random_uuid(), q.id, 0, 1, now() FROM tidemill.queues q, "
        "generate_series(1, $1::integer)",
        DEAD_ROWS,
    )
    await db.execute("DELETE FROM tidemill.ready")


@pytest.mark.timeout(240)
async def test_under_a_pinned_snapshot_a_nearly_empty_queue_stays_cheap_to_claim_from(
    store: Store, db: Database
) -> None:
    """Counted in pages: 100,000 dead entries are some 700 of an index, and more of the rows."""
    watched = Watched(db)
    seen = replace(store, leases=watched)
    claiming = Claimer(seen, await storage.worker(store), queues=None, lease_seconds=60)
    await storage.enqueue(store)
    assert len(await claiming.claim(10)) == 1
    async with db.transaction(snapshot=True) as pinned:
        await hold_dead_rows(db, pinned)
        await storage.enqueue(store)
        async with storage.patience():
            while not await claiming.claim(10):
                pass  # the place where the queue goes on now is found by a whole reading
        watched.pages.clear()
        for n in range(30):
            (made,) = await store.tasks.enqueue([NewTask(type="t", payload=n)])
            assert [task.id for task in await claiming.claim(10)] == [made.id]
    near = [pages for whole, pages in watched.pages if not whole]
    assert len(near) > 20
    assert max(near) < 200
