"""Figures: exact, whether folded or not, and what scaling reads of a queue."""

import asyncio
import json
from dataclasses import replace

import pytest

from tests.support import ledger, storage
from tidemill.db import Database
from tidemill.models import NewTask, QueueSnapshot, TaskType
from tidemill.retry import RetryPolicy
from tidemill.states import Outcome
from tidemill.store import Store
from tidemill.store.queues import Owner, QueueSettings
from tidemill.store.scaling import DecisionRecord


async def snapshot_of(store: Store, queue: str, cap: int = 1000) -> QueueSnapshot:
    found = await store.scaling.snapshots(cap=cap, due_seconds=60)
    return next(each for each in found if each.queue == queue)


async def test_figures_are_the_same_before_between_and_after_folding(store: Store) -> None:
    worker = await storage.worker(store)
    await storage.enqueue(store, 6, queue="a")
    await storage.enqueue(store, 2, queue="b", delay_seconds=60)
    tasks = await storage.claim(store, worker, 5)
    await store.leases.finish(storage.ends(tasks[:2], Outcome.SUCCEEDED, run_seconds=2))
    await store.leases.finish(storage.ends(tasks[2:4], Outcome.RETRY, delay_seconds=60.0))
    before = await store.stats.stats()
    assert await store.upkeep.fold(2) == 2
    assert (await store.stats.stats()).counts == before.counts
    await store.upkeep.fold(1000)
    after = await store.stats.stats()
    assert after.counts == before.counts
    a, b = after.queues
    assert (a.counts.queued_tasks, a.counts.running_tasks, a.counts.scheduled_tasks) == (1, 1, 2)
    assert (b.counts.total_tasks, b.counts.scheduled_tasks) == (2, 2)
    assert (after.counts.tasks_with_retries, after.counts.avg_retry_count) == (2, 2 / 8)
    assert a.enqueued_per_second == pytest.approx(6 / 60)
    assert a.finished_per_second == pytest.approx(2 / 60)


async def test_a_second_retry_is_no_second_task_with_retries(store: Store) -> None:
    worker = await storage.worker(store)
    await storage.enqueue(store)
    for _ in range(2):
        tasks = await storage.claim(store, worker)
        await store.leases.finish(storage.ends(tasks, Outcome.RETRY, delay_seconds=0.0))
        await store.upkeep.promote(10)
    counts = (await store.stats.stats()).counts
    assert (counts.tasks_with_retries, counts.avg_retry_count) == (1, 2.0)


async def test_without_tasks_everything_is_zero(store: Store) -> None:
    stats = await store.stats.stats()
    assert stats.queues == ()
    assert (stats.counts.total_tasks, stats.counts.avg_retry_count) == (0, 0.0)


async def test_waits_are_counted_by_their_bounds(store: Store, db: Database) -> None:
    worker = await storage.worker(store)
    waits = (0.001, 0.005, 0.07, 8, 7200, 1e6)
    for wait in waits:
        await storage.enqueue(store)
        await db.execute(
            "UPDATE tidemill.ready SET ready_at = now() - make_interval(secs => $1)", wait
        )
        assert len(await storage.claim(store, worker)) == 1
    await store.upkeep.fold(1000)
    (row,) = await db.fetch("SELECT waits FROM tidemill.throughput WHERE resolution = 'all'")
    assert len(row["waits"]) == 17
    assert sum(row["waits"]) == len(waits)
    assert (row["waits"][10], row["waits"][16]) == (1, 2)


async def test_statistics_at_once_with_everything_else_are_never_torn(store: Store) -> None:
    """Each reading is of one moment: the sum of places is what was enqueued, whatever moves."""
    worker = await storage.worker(store)
    await storage.enqueue(store, 300)
    going = True

    async def move() -> None:
        while tasks := await storage.claim(store, worker, 20):
            await store.leases.finish(storage.ends(tasks, Outcome.SUCCEEDED))
            await store.upkeep.fold(3)

    async def read() -> None:
        while going:
            counts = (await store.stats.stats()).counts
            assert counts.total_tasks == 300
            assert counts.queued_tasks + counts.running_tasks + counts.succeeded_tasks == 300

    reading = asyncio.create_task(read())
    await asyncio.gather(move(), move())
    going = False
    await reading
    assert (await ledger.balance(store))["succeeded"] == 300


async def test_a_snapshot_tells_what_a_decision_needs(store: Store, db: Database) -> None:
    worker = await storage.worker(store)
    limits = QueueSettings(max_running=7, paused=True)
    await store.queues.configure("idle", limits, Owner("u", "ns/idle"))
    await storage.enqueue(store, 12, queue="busy")
    await storage.enqueue(store, 3, queue="busy", delay_seconds=30)
    await storage.enqueue(store, 4, queue="busy", delay_seconds=300)
    await db.execute("UPDATE tidemill.ready SET ready_at = now() - interval '100 s'")
    tasks = await storage.claim(store, worker, 4)
    ended = [*storage.ends(tasks[:1], Outcome.SUCCEEDED, run_seconds=1)]
    ended += storage.ends(tasks[1:2], Outcome.FAILED, run_seconds=3)
    await store.leases.finish(ended)
    for fold in (0, 1000):
        await store.upkeep.fold(fold)
        busy = await snapshot_of(store, "busy")
        assert (busy.queued, busy.due_soon, busy.running, busy.paused) == (8, 3, 2, False)
        assert busy.oldest_seconds >= 100
        assert busy.mean_run_seconds == pytest.approx(2)
        assert busy.arrival_per_second == pytest.approx(12 / 65, rel=0.09)  # no delayed ones
    assert (await snapshot_of(store, "busy", cap=5)).queued == 5
    idle = await snapshot_of(store, "idle")
    assert (idle.queued, idle.running, idle.paused, idle.max_running) == (0, 0, True, 7)
    assert (idle.mean_run_seconds, idle.arrival_per_second, idle.oldest_seconds) == (None, 0, 0)


async def test_decisions_are_kept_for_a_week(store: Store, db: Database) -> None:
    for number in range(2):
        await store.scaling.record(
            DecisionRecord(
                target="ns/a",
                queue="q",
                replicas=number,
                desired=number + 1,
                reason="r",
                inputs={"queued": 1},
                clamps=["max"],
            )
        )
    await db.execute(
        "UPDATE tidemill.scaling_decisions SET decided_at = now() - interval '8 days' "
        "WHERE replicas = 0"
    )
    assert await store.upkeep.expire(10) == 1
    (row,) = await db.fetch("SELECT * FROM tidemill.scaling_decisions")
    assert (row["desired"], json.loads(row["inputs"]), row["clamps"]) == (2, {"queued": 1}, ["max"])


async def test_fine_figures_go_when_coarser_ones_hold_them(store: Store, db: Database) -> None:
    await storage.enqueue(store)
    await store.upkeep.fold(10)
    await db.execute("UPDATE tidemill.throughput SET bucket = now() - interval '2 days'")
    assert await store.upkeep.expire(10) == 1
    await db.execute("UPDATE tidemill.throughput SET bucket = now() - interval '40 days'")
    assert await store.upkeep.expire(10) == 1
    left = await db.fetch("SELECT resolution FROM tidemill.throughput ORDER BY 1")
    assert [row["resolution"] for row in left] == ["all", "day"]
    assert (await store.stats.stats()).counts.queued_tasks == 1


async def test_the_newest_registration_of_a_type_wins(store: Store, db: Database) -> None:
    full = TaskType(
        name="b",
        schema={"type": "object"},
        queue="q",
        priority=5,
        max_retries=1,
        timeout_seconds=2.5,
        retry=RetryPolicy(policy="fixed", base_seconds=3),
        description="d",
    )
    await store.types.register([full, TaskType(name="a")], app="x:y")
    assert await store.types.list() == [TaskType(name="a", app="x:y"), replace(full, app="x:y")]
    stamp = "SELECT updated_at FROM tidemill.task_types WHERE name = 'b'"
    before = await db.fetchval(stamp)
    await store.types.register([full], app="x:y")
    assert await db.fetchval(stamp) == before
    await store.types.register([TaskType(name="b")], app="x:z")
    assert await store.types.list() == [
        TaskType(name="a", app="x:y"),
        TaskType(name="b", app="x:z"),
    ]
    assert await db.fetchval(stamp) > before
    await store.types.register([], app="x:y")


async def test_registrations_at_once_do_not_deadlock(store: Store) -> None:
    names = [f"t{n}" for n in range(30)]

    async def register(app: int) -> None:
        order = names if app % 2 else names[::-1]
        for turn in range(5):
            types = [TaskType(name=name, priority=app + turn) for name in order]
            await store.types.register(types, app=f"{app}")

    await asyncio.gather(*(register(app) for app in range(8)))
    assert len(await store.types.list()) == 30
    await store.tasks.enqueue([NewTask(type=name) for name in names])
