"""A queue's settings: what a TaskQueue gives is its own, what it leaves out stays others'."""

import pytest

from tidemill.db import Database
from tidemill.errors import Conflict
from tidemill.store import Store
from tidemill.store.queues import Owner, QueueInfo, QueueSettings

OWNER = Owner("uid-1", "shop/emails")


async def queue(store: Store, name: str = "emails") -> QueueInfo:
    return next(each for each in await store.queues.list() if each.name == name)


async def test_a_setting_that_is_given_no_more_is_cleared(store: Store) -> None:
    await store.queues.configure("emails", QueueSettings(lease_seconds=60, max_running=5), OWNER)
    assert ((await queue(store)).lease_seconds, (await queue(store)).max_running) == (60, 5)

    await store.queues.configure("emails", QueueSettings(), OWNER)

    assert ((await queue(store)).lease_seconds, (await queue(store)).max_running) == (None, None)


async def test_what_a_task_queue_leaves_out_is_left_alone(store: Store, db: Database) -> None:
    await store.queues.configure("emails", QueueSettings(), OWNER)
    await db.execute("UPDATE tidemill.queues SET lease_seconds = 90 WHERE name = 'emails'")
    await db.execute(
        "INSERT INTO tidemill.queue_limits (queue_id, rate_tasks, rate_seconds)"
        " SELECT id, 10, 1 FROM tidemill.queues WHERE name = 'emails'"
    )

    await store.queues.configure("emails", QueueSettings(max_running=7), OWNER)

    found = await queue(store)
    assert (found.lease_seconds, found.rate_tasks, found.max_running) == (90, 10, 7)
    await store.queues.configure("emails", QueueSettings(), OWNER)
    assert ((await queue(store)).rate_tasks, (await queue(store)).max_running) == (10, None)


async def test_a_queue_without_limits_has_no_row_of_limits(store: Store, db: Database) -> None:
    await store.queues.configure("emails", QueueSettings(rate_tasks=1, rate_seconds=2), OWNER)
    await store.queues.configure("emails", QueueSettings(), OWNER)

    assert await db.fetchval("SELECT count(*) FROM tidemill.queue_limits") == 0


async def test_a_queue_has_one_owner(store: Store) -> None:
    await store.queues.configure("emails", QueueSettings(), OWNER)

    with pytest.raises(Conflict, match="'emails' belongs to another TaskQueue"):
        await store.queues.configure("emails", QueueSettings(), Owner("uid-2", "shop/other"))

    assert (await queue(store)).owner_uid == "uid-1"


async def test_an_owner_that_was_not_seen_for_a_minute_is_replaced(
    store: Store, db: Database
) -> None:
    await store.queues.configure("emails", QueueSettings(), OWNER)
    await db.execute("UPDATE tidemill.queues SET owner_seen_at = now() - interval '61 s'")

    await store.queues.configure("emails", QueueSettings(), Owner("uid-2", "shop/other"))

    assert (await queue(store)).owner_uid == "uid-2"


async def test_naming_another_queue_gives_the_first_one_up(store: Store) -> None:
    await store.queues.configure("emails", QueueSettings(paused=True), OWNER)

    await store.queues.configure("letters", QueueSettings(), OWNER)

    first = await queue(store)
    assert (first.owner_uid, first.paused) == (None, False)
    assert (await queue(store, "letters")).owner_uid == "uid-1"
