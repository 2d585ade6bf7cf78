"""Purge: the tasks of a queue whose TaskQueue is gone go, and nothing else does."""

import asyncio

from tests.support import storage
from tidemill.db import Database
from tidemill.maintenance import Purger
from tidemill.states import Outcome
from tidemill.store import Store
from tidemill.store.queues import Owner, QueueSettings

OWNER = Owner("uid-1", "shop/mail", "Purge")


async def ordered(store: Store, db: Database, owner: Owner = OWNER) -> None:
    """Have the queue `mail` owned by somebody who is gone, and ordered to be purged."""
    await store.queues.configure("mail", QueueSettings(paused=False), owner)
    await absent(db)
    assert await store.purges.order(owner.uid) == "mail"


async def absent(db: Database) -> None:
    await db.execute(
        "UPDATE tidemill.queues SET owner_seen_at = owner_seen_at - interval '61 seconds'"
    )


async def policy_of(db: Database) -> str | None:
    found: str | None = await db.fetchval(
        "SELECT owner_policy FROM tidemill.queues WHERE name = 'mail'"
    )
    return found


async def status_of(db: Database, queue: str) -> dict[str, int]:
    rows = await db.fetch(
        "SELECT status, count(*) AS n FROM tidemill.task_status WHERE queue = $1 GROUP BY status",
        queue,
    )
    return {row["status"]: row["n"] for row in rows}


async def test_a_purge_waits_until_the_owner_was_not_seen_for_a_minute(
    store: Store, db: Database
) -> None:
    await store.queues.configure("mail", QueueSettings(), OWNER)
    assert await store.purges.order("uid-1") is None
    await absent(db)
    assert await store.queues.seen(["uid-1", "other"]) == {"uid-1"}
    assert await store.purges.order("uid-1") is None
    await absent(db)
    assert await store.purges.order("uid-1") == "mail"
    assert await store.purges.order("uid-1") is None  # once


async def test_who_says_retain_is_never_purged(store: Store, db: Database) -> None:
    await storage.enqueue(store, 3, queue="mail")
    await store.queues.configure("mail", QueueSettings(), Owner("u", "shop/mail", "Retain"))
    await absent(db)
    assert await store.purges.order("u") is None
    assert await store.purges.step(100) == {}
    assert await status_of(db, "mail") == {"queued": 3}


async def test_what_waits_and_what_failed_goes_and_what_runs_is_left_to_its_end(
    store: Store, db: Database
) -> None:
    worker = await storage.worker(store)
    await storage.enqueue(store, 2, queue="mail", max_retries=0)
    await store.leases.finish(storage.ends(await storage.claim(store, worker, 2), Outcome.FAILED))
    await storage.enqueue(store, 1, queue="mail")
    (running,) = await storage.claim(store, worker, 1)
    await storage.enqueue(store, 5, queue="mail")
    await storage.enqueue(store, 4, queue="mail", delay_seconds=600)
    await storage.enqueue(store, 3, queue="other")
    await ordered(store, db)

    gone = [await store.purges.step(4) for _ in range(4)]
    assert [each.get("mail", 0) for each in gone] == [4, 4, 3, 0]
    assert await status_of(db, "mail") == {"running": 1}
    assert await status_of(db, "other") == {"queued": 3}

    retry = storage.ends([running], Outcome.RETRY, delay_seconds=60)
    await store.leases.finish(retry)
    assert await store.purges.step(4) == {"mail": 1}
    assert await store.purges.step(4) == {}
    assert await status_of(db, "mail") == {}
    await storage.enqueue(store, 2, queue="mail")  # it is a queue like any other now
    assert await store.purges.step(4) == {}
    assert await status_of(db, "mail") == {"queued": 2}


async def test_what_is_enqueued_after_the_order_stays_and_the_purge_ends_though_more_comes(
    store: Store, db: Database
) -> None:
    worker = await storage.worker(store)
    await storage.enqueue(store, 3, queue="mail")
    await ordered(store, db)
    await storage.enqueue(store, 2, queue="mail")
    assert await store.purges.step(100) == {"mail": 3}
    assert await status_of(db, "mail") == {"queued": 2}
    await storage.claim(store, worker, 1)
    assert await store.purges.step(100) == {}
    assert await policy_of(db) is None
    assert await status_of(db, "mail") == {"queued": 1, "running": 1}


async def test_a_purge_does_not_end_while_a_task_of_before_runs(store: Store, db: Database) -> None:
    worker = await storage.worker(store)
    await storage.enqueue(store, 1, queue="mail")
    (running,) = await storage.claim(store, worker, 1)
    await ordered(store, db)
    assert await store.purges.step(100) == {}
    assert await policy_of(db) == "Purge"
    await store.leases.finish(storage.ends([running], Outcome.SUCCEEDED))
    assert await store.purges.step(100) == {}
    assert await policy_of(db) is None


async def test_a_key_is_free_again_when_its_task_is_purged(store: Store, db: Database) -> None:
    (first,) = await storage.enqueue(store, 1, queue="mail", idempotency_key="k")
    await ordered(store, db)
    await store.purges.step(100)
    (again,) = await storage.enqueue(store, 1, queue="mail", idempotency_key="k")
    assert again.id != first.id


async def test_a_new_owner_ends_the_purge(store: Store, db: Database) -> None:
    await storage.enqueue(store, 3, queue="mail")
    await ordered(store, db)
    await store.purges.step(1)
    await store.queues.configure("mail", QueueSettings(), Owner("uid-2", "shop/mail", "Purge"))
    assert await store.purges.step(100) == {}
    assert await status_of(db, "mail") == {"queued": 2}


async def test_maintenance_purges_batch_by_batch_until_nothing_is_left(
    store: Store, db: Database
) -> None:
    await storage.enqueue(store, 2500, queue="mail")
    await ordered(store, db)
    purger = Purger(store, 60)
    rounds = [await purger.run_once() for _ in range(5)]
    assert sum(rounds) == 2500
    assert rounds[-1] == 0
    assert await status_of(db, "mail") == {}
    assert await policy_of(db) is None


async def test_several_that_purge_at_once_delete_each_task_once(store: Store, db: Database) -> None:
    await storage.enqueue(store, 300, queue="mail")
    await ordered(store, db)
    gone = await asyncio.gather(*(store.purges.step(100) for _ in range(6)))
    while await status_of(db, "mail"):
        gone.append(await store.purges.step(100))
    assert sum(each.get("mail", 0) for each in gone) == 300
