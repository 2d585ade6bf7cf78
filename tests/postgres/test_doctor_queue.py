"""`tidemill doctor` on the queue's own state: each thing that may go wrong is found and told."""

from tests.support import doctor, storage
from tidemill.db import Database
from tidemill.doctor import Level
from tidemill.settings import Settings
from tidemill.states import Outcome
from tidemill.store import Store


async def test_a_queue_at_work_is_well(settings: Settings, store: Store) -> None:
    worker = await storage.worker(store)
    await storage.enqueue(store, 5)
    await storage.enqueue(store, 1, delay_seconds=60)
    await storage.claim(store, worker, 2)
    for check in ("statistics", "workers", "leases", "queues", "bodies", "dead_letters"):
        assert await doctor.well(settings, check), check
    assert (await doctor.one(settings, "bodies")).figures == {"looked": 6}


async def test_statistics_that_nobody_folds(settings: Settings, store: Store, db: Database) -> None:
    await storage.enqueue(store)
    await db.execute("UPDATE tidemill.throughput_deltas SET at = at - interval '5 min'")
    found = await doctor.one(settings, "statistics")
    assert found.level is Level.WARNING
    assert "1 row of statistics are not folded, the oldest 5 min" in found.finding
    assert "TIDEMILL_FOLD_SECONDS" in found.advice
    await db.execute("UPDATE tidemill.throughput_deltas SET at = at - interval '2 h'")
    assert (await doctor.one(settings, "statistics")).level is Level.PROBLEM
    await store.upkeep.fold(10)
    assert await doctor.well(settings, "statistics")


async def test_a_worker_that_went_without_a_word(
    settings: Settings, store: Store, db: Database
) -> None:
    assert (await doctor.one(settings, "workers")).finding == "no worker is running"
    lost = await storage.worker(store, name="lost", hostname="there", pid=7)
    await storage.enqueue(store, 2)
    await storage.claim(store, lost)
    await db.execute("UPDATE tidemill.workers SET seen_at = seen_at - interval '2 min'")
    await storage.worker(store)
    found = await doctor.one(settings, "workers")
    assert found.level is Level.WARNING
    assert found.figures == {"lost": 1, "leases": 2}
    assert "lost on there, pid 7, 2 min" in found.finding


async def test_leases_that_nobody_takes_back(
    settings: Settings, store: Store, db: Database
) -> None:
    await storage.enqueue(store, 3)
    claimed = await storage.claim(store, await storage.worker(store))
    await storage.expire_leases(db)
    assert await doctor.well(settings, "leases"), "these have only just run out"
    await db.execute(
        "UPDATE tidemill.leases SET claimed_at = claimed_at - interval '10 min', "
        "locked_until = CASE WHEN task_id = $1 THEN '-infinity' "
        "ELSE locked_until - interval '5 min' END",
        claimed[0].lease.task_id,
    )
    found = await doctor.one(settings, "leases")
    assert (found.level, found.figures["expired"]) == (Level.PROBLEM, 3)
    assert found.figures["oldest_seconds"] >= 600
    await store.upkeep.recover(10, 3)
    assert await doctor.well(settings, "leases")


async def test_a_queue_that_nobody_serves(settings: Settings, store: Store, db: Database) -> None:
    await storage.enqueue(store, queue="mail")
    assert await doctor.well(settings, "queues"), "it waits for a moment only"
    await db.execute("UPDATE tidemill.ready SET ready_at = ready_at - interval '3 min'")
    other = await storage.worker(store, queues=("other",))
    found = await doctor.one(settings, "queues")
    assert found.level is Level.WARNING
    assert "no worker serves 1 queue where tasks wait: mail for 3 min" in found.finding
    assert found.advice == "tidemill worker package.module:app --queue mail"
    await db.execute("UPDATE tidemill.queues SET paused = true")
    found = await doctor.one(settings, "queues")
    assert found.level is Level.NOTE
    assert "tasks wait in 1 paused queue: mail for 3 min" in found.finding
    await db.execute("UPDATE tidemill.queues SET paused = false")
    await db.execute("UPDATE tidemill.workers SET queues = '{mail}' WHERE id = $1", other.id)
    assert await doctor.well(settings, "queues")


async def test_tasks_without_their_bodies(settings: Settings, store: Store, db: Database) -> None:
    await storage.enqueue(store, 4)
    await storage.enqueue(store, delay_seconds=60)
    gone = await storage.claim(store, await storage.worker(store), 1)
    await db.execute("DELETE FROM tidemill.tasks WHERE id = $1", gone[0].lease.task_id)
    await db.execute(
        "DELETE FROM tidemill.tasks WHERE id = (SELECT task_id FROM tidemill.ready LIMIT 1)"
    )
    found = await doctor.one(settings, "bodies")
    assert found.level is Level.PROBLEM
    assert found.figures == {"looked": 5, "missing": {"leases": 1, "ready": 1}}


async def test_dead_letters_are_counted_and_poison_is_named(
    settings: Settings, store: Store, db: Database
) -> None:
    worker = await storage.worker(store)
    await storage.enqueue(store, 2, type="plain")
    await store.leases.finish(storage.ends(await storage.claim(store, worker), Outcome.FAILED))
    found = await doctor.one(settings, "dead_letters")
    assert (found.level, found.figures["by_type"]) == (Level.NOTE, {"plain": 2})
    await storage.enqueue(store, 1, type="poison", max_retries=100)
    for _ in range(settings.max_crashes):
        await storage.claim(store, worker)
        await storage.expire_leases(db)
        await store.upkeep.recover(10, settings.max_crashes)
    poison, counted = await doctor.asked(settings, "dead_letters")
    assert poison.level is Level.WARNING
    assert poison.figures == {"type": "poison", "tasks": 1}
    assert counted.figures["tasks"] == 3


async def test_schedules_that_nobody_fires_or_that_fail(settings: Settings, db: Database) -> None:
    await db.execute(
        "INSERT INTO tidemill.schedules (name, cron, type, next_slot, paused) VALUES "
        "('due', '* * * * *', 't', statement_timestamp() - interval '20 s', false), "
        "('off', '* * * * *', 't', statement_timestamp() - interval '2 d', true)"
    )
    assert await doctor.well(settings, "schedules")
    await db.execute(
        "UPDATE tidemill.schedules SET next_slot = next_slot - interval '3 min' WHERE name = 'due'"
    )
    late = await doctor.one(settings, "schedules")
    assert late.level is Level.WARNING
    assert late.finding.startswith("1 schedule late: due by 3 min")
    await db.execute(
        "UPDATE tidemill.schedules SET next_slot = NULL, last_error = 'no such queue' "
        "WHERE name = 'due'"
    )
    failed = await doctor.one(settings, "schedules")
    assert failed.figures == {"schedule": "due", "error": "no such queue"}
