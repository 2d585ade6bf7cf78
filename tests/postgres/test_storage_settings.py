"""What the storage settings of the migrations are for: updates stay on their page (HOT), and the
tables that tasks move through are never updated at all.
"""

from tests.support import storage
from tidemill import sql
from tidemill.db import Database
from tidemill.states import Outcome
from tidemill.store import Store

UPDATES = """
    SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_all_tables
     WHERE relid = ('tidemill.' || $1::text)::regclass
"""
ROWS, ROUNDS = 40, 25


async def updates(db: Database, table: str, least: int) -> tuple[int, int]:
    """Return the updates of a table and how many were HOT, once `least` are counted."""

    async def counted() -> bool:
        row = await db.fetchrow(UPDATES, table)
        return row is not None and row["n_tup_upd"] >= least

    await storage.until(counted)  # the server counts with a delay
    row = await db.fetchrow(UPDATES, table)
    assert row is not None
    return row["n_tup_upd"], row["n_tup_hot_upd"]


async def test_heartbeats_of_workers_touch_no_index(store: Store, db: Database) -> None:
    workers = [await storage.worker(store, pod_uid=f"p{n}") for n in range(ROWS)]
    for _ in range(ROUNDS):
        for each in workers:
            await store.workers.heartbeat(each)
    total, hot = await updates(db, "workers", ROWS * ROUNDS)
    assert hot >= 0.98 * total


async def test_draws_on_limits_touch_no_index(db: Database) -> None:
    await db.execute(
        "INSERT INTO tidemill.queue_limits (queue_id, rate_tasks, rate_seconds) "
        "SELECT n, 100, 1 FROM generate_series(1, $1) AS n",
        ROWS,
    )
    for _ in range(ROUNDS):
        for queue in range(1, ROWS + 1):
            await db.execute(sql.load("limits_draw"), queue, 1)
    total, hot = await updates(db, "queue_limits", ROWS * ROUNDS)
    assert hot >= 0.98 * total


async def test_folding_into_buckets_touches_no_index(store: Store, db: Database) -> None:
    for _ in range(ROUNDS):
        for queue in ("a", "b", "c"):
            await storage.enqueue(store, queue=queue)
        await store.upkeep.fold(1000)
    total, hot = await updates(db, "throughput", (ROUNDS - 1) * 3 * 3)
    assert hot >= 0.95 * total


async def test_tasks_move_by_insert_and_delete_alone(store: Store, db: Database) -> None:
    worker = await storage.worker(store)
    await storage.enqueue(store, 20)
    await storage.enqueue(store, 20, delay_seconds=60)
    for outcome in (Outcome.RETRY, Outcome.RELEASED, Outcome.SNOOZED, Outcome.SUCCEEDED):
        await storage.make_due(db)
        await store.upkeep.promote(100)
        claimed = await storage.claim(store, worker)
        assert len(claimed) == 40
        delay = {} if outcome is Outcome.SUCCEEDED else {"delay_seconds": 60.0}
        await store.leases.finish(storage.ends(claimed, outcome, **delay))
    inserted = "SELECT n_tup_ins FROM pg_stat_all_tables WHERE relid = 'tidemill.ready'::regclass"
    await storage.until(lambda: db.fetchval(f"SELECT ({inserted}) >= 80"))
    assert await updates(db, "ready", 0) == (0, 0)
