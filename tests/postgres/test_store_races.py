"""The named proof: many workers, every task recorded once; a worker that was paused is refused."""

import asyncio
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.support import ledger, postgres, storage
from tidemill.db import Database
from tidemill.models import Finish, NewTask
from tidemill.states import Outcome
from tidemill.store import Store
from tidemill.store.claimer import Claimer
from tidemill.store.queues import Owner, QueueSettings

TASKS = 20_000
WORKERS = 8
PROCESSES = 4


async def drain(store: Store, *, batch: int) -> int:
    """Claim and finish until nothing is left; return how many ends this worker recorded."""
    claimer = Claimer(store, await storage.worker(store), queues=None, lease_seconds=60)
    recorded = 0
    while True:
        tasks = await claimer.claim(batch)
        if tasks:
            ends = storage.ends(tasks, Outcome.SUCCEEDED, run_seconds=0.001)
            recorded += len(await store.leases.finish(ends))
        elif (await store.stats.stats()).counts.succeeded_tasks == TASKS:
            return recorded


async def drain_by_two(url: str) -> int:
    db = Database.of(postgres.settings_of(url), application="tests")
    store = Store.of(db)
    counts = await asyncio.gather(drain(store, batch=37), drain(store, batch=100))
    await db.close()
    return sum(counts)


def drain_in_process(url: str) -> int:
    return asyncio.run(drain_by_two(url))


@pytest.mark.timeout(300)
async def test_eight_workers_record_20000_tasks_once_each(
    store: Store, db: Database, database_url: str
) -> None:
    """Workers in four processes, while others enqueue, fold and look for expired leases."""
    loop = asyncio.get_running_loop()
    spawn = multiprocessing.get_context("spawn")

    async def produce() -> None:
        for start in range(0, TASKS, 500):
            numbers = range(start, start + 500)
            tasks = [NewTask(type="t", queue=f"q{n % 3}", priority=n % 2) for n in numbers]
            await store.tasks.enqueue(tasks)

    async def keep_up() -> None:
        while (await store.stats.stats()).counts.succeeded_tasks < TASKS:
            await store.upkeep.fold(1000)
            assert await store.upkeep.recover(1000, 3) == {}

    with ProcessPoolExecutor(PROCESSES, mp_context=spawn) as pool:
        running = [
            loop.run_in_executor(pool, drain_in_process, database_url) for _ in range(PROCESSES)
        ]
        await asyncio.gather(produce(), keep_up())
        recorded = await asyncio.gather(*running)
    assert sum(recorded) == TASKS
    rows = await db.fetchrow(
        "SELECT count(*) AS ends, count(DISTINCT task_id) AS tasks, "
        "count(DISTINCT worker_id) AS workers FROM tidemill.attempts"
    )
    assert rows is not None
    assert (rows["ends"], rows["tasks"]) == (TASKS, TASKS)
    assert 1 < rows["workers"] <= WORKERS
    assert (await ledger.balance(store))["succeeded"] == TASKS


async def test_a_worker_paused_past_its_lease_is_refused(store: Store, db: Database) -> None:
    """Real time passes here: a lease of a second, a worker that sleeps through it."""
    paused, other = await storage.worker(store), await storage.worker(store)
    await store.queues.configure("q", QueueSettings(lease_seconds=1), Owner("u", "ns/q"))
    await storage.enqueue(store, queue="q")
    (task,) = await storage.claim(store, paused)
    await storage.until(lambda: store.upkeep.recover(10, 3))
    (again,) = await storage.claim(store, other)
    assert again.id == task.id
    late = Finish(lease=task.lease, outcome=Outcome.SUCCEEDED, run_seconds=1, result="late")
    assert await store.leases.finish([late]) == set()
    assert not (await store.leases.extend([task.lease], 30))[0].held
    end = Finish(lease=again.lease, outcome=Outcome.SUCCEEDED, run_seconds=1, result="mine")
    assert await store.leases.finish([end]) == {again.lease}
    assert await store.leases.finish([late]) == set()
    seen = await store.tasks.get(task.id)
    assert seen is not None
    assert (seen.result, seen.worker_id, seen.retry_count) == ("mine", other.id, 1)
    assert len(await storage.attempts(db, task.id)) == 2
    await ledger.balance(store)


async def test_an_end_and_an_enqueue_lock_keys_in_one_order(store: Store, db: Database) -> None:
    """Tasks end in the order of ids; their keys are locked in the order that enqueue uses."""
    await store.tasks.enqueue([NewTask(type="t", idempotency_key=key) for key in ("z", "a")])
    claimed = await storage.claim(store, await storage.worker(store))
    async with db.transaction() as producing:
        await producing.execute("SELECT tidemill.enqueue('t', idempotency_key => 'a')")
        ending = asyncio.create_task(store.leases.finish(storage.ends(claimed, Outcome.FAILED)))
        await storage.until_blocked(db)
        await producing.execute("SELECT tidemill.enqueue('t', idempotency_key => 'z')")
    assert len(await ending) == 2
    assert (await ledger.balance(store))["failed"] == 2


async def test_heartbeats_and_ends_of_the_same_leases_do_not_deadlock(store: Store) -> None:
    worker = await storage.worker(store)
    await storage.enqueue(store, 400)
    claimed = await storage.claim(store, worker, 400)
    leases = [task.lease for task in claimed]
    await asyncio.gather(
        *(store.leases.extend(leases[::turn], 30) for turn in (1, -1, 1, -1)),
        *(
            store.leases.finish(storage.ends(claimed[part::4][::-1], Outcome.RELEASED))
            for part in range(4)
        ),
        store.workers.release_unknown(worker, leases[:200]),
        store.workers.expire([worker.id]),
        store.upkeep.recover(1000, 3),
    )
    assert (await ledger.balance(store))["queued"] == 400


async def test_folding_at_once_loses_nothing(store: Store) -> None:
    for _ in range(30):
        await storage.enqueue(store, 2)

    async def fold() -> int:
        return sum([await store.upkeep.fold(7) for _ in range(5)])

    folded = sum(await asyncio.gather(*(fold() for _ in range(6))))
    assert 0 < folded <= 30
    await ledger.balance(store)
    while await store.upkeep.fold(1000):
        pass
    assert (await ledger.balance(store))["queued"] == 60


async def test_a_fold_passes_over_what_is_not_committed(store: Store, db: Database) -> None:
    async with db.transaction() as first:
        await first.execute("SELECT tidemill.enqueue('t')")
        await store.queues.configure("other", QueueSettings(), Owner("u", "ns/q"))
        await storage.enqueue(store, 2, queue="other")
        assert await store.upkeep.fold(1000) == 1
    assert await store.upkeep.fold(1000) == 1
    assert await store.upkeep.fold(1000) == 0
    assert (await ledger.balance(store))["queued"] == 3
