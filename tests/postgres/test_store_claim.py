"""Claim: order, queues, and who may not."""

from tests.support import storage
from tidemill.db import Database
from tidemill.models import NewTask, WorkerIdentity
from tidemill.states import Outcome
from tidemill.store import Store
from tidemill.store.leases import ClaimPlan, Range
from tidemill.store.queues import Owner, QueueSettings


async def payloads(store: Store, worker: WorkerIdentity, limit: int = 100) -> list[int]:
    return [task.payload for task in await storage.claim(store, worker, limit)]


async def test_priority_then_returned_then_age(store: Store) -> None:
    worker = await storage.worker(store)
    await store.tasks.enqueue([NewTask(type="t", payload=n) for n in range(3)])
    returned = await storage.claim(store, worker, 2)
    await store.leases.finish(storage.ends(reversed(returned), Outcome.RELEASED))
    await store.tasks.enqueue(
        [
            NewTask(type="t", payload=10, priority=-1),
            NewTask(type="t", payload=11, priority=5),
            NewTask(type="t", payload=12),
        ]
    )
    assert await payloads(store, worker, 2) == [11, 0]
    assert await payloads(store, worker) == [1, 2, 12, 10]


async def test_what_is_claimed_carries_the_task_and_its_lease(store: Store) -> None:
    worker = await storage.worker(store)
    (made,) = await storage.enqueue(
        store, payload={"a": 1}, name="n", queue="q", priority=7, max_retries=2, timeout_seconds=9
    )
    (task,) = await storage.claim(store, worker, lease_seconds=12)
    assert (task.id, task.type, task.name, task.queue, task.priority) == (made.id, "t", "n", "q", 7)
    assert (task.payload, task.max_retries, task.timeout_seconds) == ({"a": 1}, 2, 9)
    assert (task.attempt, task.crash_count, task.lease_seconds, task.lane) == (1, 0, 12, 1)
    assert (task.has_body, task.expired) == (True, False)
    seen = await store.tasks.get(made.id)
    assert seen is not None
    assert (seen.status, seen.worker_id) == ("running", worker.id)


async def test_queues_are_read_in_the_order_given(store: Store) -> None:
    worker = await storage.worker(store)
    for name in ("a", "b", "c"):
        await storage.enqueue(store, 2, queue=name)
    found = await storage.claim(store, worker, 5, queues=["c", "a"])
    assert [task.queue for task in found] == ["c", "c", "a", "a"]


async def test_whole_queues_come_before_ranges_and_limit_holds_over_all(store: Store) -> None:
    worker = await storage.worker(store)
    made = await storage.enqueue(store, 10)
    await storage.enqueue(store, 3, priority=9)
    (queue,) = await store.queues.list()
    rows = await storage.claim(store, worker, 1)
    assert rows[0].priority == 9
    plan = ClaimPlan(
        ranges=(Range(queue.id, 0, 0, 0), Range(queue.id, 0, 1, 4)), whole=(), names={}
    )
    found = await store.leases.claim(worker, plan, 4, 30)
    assert [task.id for task in found] == [each.id for each in made[3:7]]
    both = ClaimPlan(ranges=(Range(queue.id, 0, 1, 10),), whole=(queue.id,), names={})
    assert [task.priority for task in await store.leases.claim(worker, both, 3, 30)] == [9, 9, 0]


async def test_a_large_claim_keeps_its_order_whatever_plan_it_gets(
    store: Store, db: Database
) -> None:
    """With these figures the planner once joined by sorted ids, and so answered by age alone."""
    worker = await storage.worker(store)
    await store.tasks.enqueue([NewTask(type="t", priority=n % 3) for n in range(5000)])
    await db.execute("ANALYZE tidemill.ready, tidemill.tasks, tidemill.leases")
    (queue,) = await store.queues.list()
    plan = ClaimPlan(ranges=tuple(Range(queue.id, each, 1, 0) for each in (2, 1, 0)), names={})
    found = [task.priority for task in await store.leases.claim(worker, plan, 1700, 30)]
    assert found == [2] * 1666 + [1] * 34


async def test_a_paused_queue_gives_nothing(store: Store, db: Database) -> None:
    worker = await storage.worker(store)
    await storage.enqueue(store, 2, queue="a")
    await storage.enqueue(store, 2, queue="b")
    await store.queues.configure("a", QueueSettings(paused=True), Owner("u", "ns/a"))
    assert {task.queue for task in await storage.claim(store, worker)} == {"b"}
    await store.queues.disown("u")
    await db.execute("UPDATE tidemill.queues SET paused = true WHERE name = 'a'")
    assert await storage.claim(store, worker) == []
    await db.execute("UPDATE tidemill.queues SET paused = false")
    assert len(await storage.claim(store, worker)) == 2


async def test_a_queues_own_lease_wins(store: Store) -> None:
    worker = await storage.worker(store)
    await store.queues.configure("q", QueueSettings(lease_seconds=99), Owner("u", "ns/q"))
    await storage.enqueue(store, queue="q")
    (task,) = await storage.claim(store, worker, lease_seconds=5)
    assert task.lease_seconds == 99


async def test_draining_cordoned_old_and_unknown_workers_claim_nothing(
    store: Store, db: Database
) -> None:
    await storage.enqueue(store, 10)
    draining, cordoned, old, gone = [await storage.worker(store) for _ in range(4)]
    await db.execute("UPDATE tidemill.workers SET draining = true WHERE id = $1", draining.id)
    await db.execute("UPDATE tidemill.workers SET cordoned = true WHERE id = $1", cordoned.id)
    new = await store.workers.bump_epoch(old)
    await store.workers.leave(gone)
    for refused in (draining, cordoned, old, gone, WorkerIdentity(12345, 1)):
        assert await storage.claim(store, refused) == []
    assert new.epoch == old.epoch + 1
    assert len(await storage.claim(store, new)) == 10


async def test_two_claims_at_once_share_nothing(store: Store, db: Database) -> None:
    first, second = [await storage.worker(store) for _ in range(2)]
    await storage.enqueue(store, 10)
    async with db.transaction() as holding:
        locked = await holding.fetch("SELECT * FROM tidemill.ready ORDER BY seq LIMIT 4 FOR UPDATE")
        found = await storage.claim(store, second)
        assert [task.seq for task in found] == list(range(5, 11))
    rest = await storage.claim(store, first)
    assert [task.id for task in rest] == [row["task_id"] for row in locked]


async def test_an_unreadable_retry_policy_costs_nobody_its_claim(
    store: Store, db: Database
) -> None:
    worker = await storage.worker(store)
    await storage.enqueue(store, 3)
    for number, text in enumerate(('"x"', '{"bogus": 1}', '{"policy": "list"}')):
        await db.execute(
            "UPDATE tidemill.tasks SET retry = $1 WHERE id = "
            "(SELECT id FROM tidemill.tasks ORDER BY id OFFSET $2 LIMIT 1)",
            text,
            number,
        )
    found = await storage.claim(store, worker)
    assert [task.retry.policy for task in found] == ["exponential"] * 3
