"""Passes over ended tasks on real days: nothing due is left behind, whatever changes meanwhile."""

# ruff: noqa: E501 - SQL

import logging
from datetime import timedelta
from uuid import UUID

import pytest

from tests.support import past, storage
from tidemill.db import Database
from tidemill.maintenance import duties
from tidemill.maintenance.retention import Retainer
from tidemill.settings import Settings
from tidemill.states import Outcome, Status
from tidemill.store import Store
from tidemill.store.retention import Keep

HOUR = 3600.0
DAY = 86400.0
KEEP = Keep(succeeded=7 * DAY, failed=30 * DAY, cancelled=7 * DAY)


@pytest.fixture
def retainer(store: Store, settings: Settings) -> Retainer:
    return Retainer(store, settings)


async def settle(retainer: Retainer) -> None:
    while await retainer.run_once():
        pass


async def end_earlier(db: Database, ids: list[UUID], **ago: float) -> None:
    """Move the ends of these tasks, not their beginnings, into the past (or nearer, if negative)."""
    await db.execute(
        "UPDATE tidemill.attempts SET finished_at = finished_at - $2::interval WHERE task_id = ANY ($1)",
        ids,
        timedelta(**ago),
    )


async def test_a_keep_time_of_hours_follows_the_day(store: Store, retainer: Retainer) -> None:
    await past.keep(store.db, "q", succeeded=HOUR)
    old = await past.ended(store, Outcome.SUCCEEDED, 3)
    young = await past.ended(store, Outcome.SUCCEEDED, 2)
    await end_earlier(store.db, old, hours=1)
    await settle(retainer)
    assert await past.kept(store.db) == set(young)
    await end_earlier(store.db, young, hours=1)
    await settle(retainer)
    assert await past.books(store) == {}


async def test_a_keep_time_of_nothing(store: Store, retainer: Retainer) -> None:
    await past.keep(store.db, "q", succeeded=0, failed=0, cancelled=0)
    for outcome in (Outcome.SUCCEEDED, Outcome.FAILED, Outcome.CANCELLED):
        await past.ended(store, outcome, 2)
    waiting = await storage.enqueue(store, queue="q")
    await settle(retainer)
    assert await past.kept(store.db) == {waiting[0].id}
    assert await past.books(store) == {"queued": 1}


async def test_a_shorter_keep_time_counts_for_what_ended_before(
    store: Store, retainer: Retainer
) -> None:
    ids = await past.ended(store, Outcome.SUCCEEDED, 2, ago=5, queue="a")
    other = await past.ended(store, Outcome.SUCCEEDED, 2, ago=5, queue="b")
    await past.keep(store.db, "c", succeeded=2 * DAY)  # its pass goes by these days first
    await settle(retainer)
    assert await past.kept(store.db) == {*ids, *other}
    await past.keep(store.db, "a", succeeded=2 * DAY)
    await settle(retainer)
    assert await past.kept(store.db) == set(other)
    assert await past.books(store) == {"succeeded": 2}


async def test_a_keep_time_counts_from_the_end(store: Store, retainer: Retainer) -> None:
    """A task that was delayed, or ran, for long: its body is old, its end is not."""
    ids = await past.ended(store, Outcome.SUCCEEDED, 2, ago=20)
    await past.ended(store, Outcome.SUCCEEDED, 5, ago=20)
    await past.make_days(store.db, 3, 4)
    await end_earlier(store.db, ids, days=-17)
    await settle(retainer)
    assert await past.kept(store.db) == set(ids)
    task = await store.tasks.get(ids[0])
    assert task is not None
    assert task.status is Status.SUCCEEDED


async def test_an_old_body_goes_with_its_end(store: Store, retainer: Retainer) -> None:
    """The day of the end is not that of the body, and both are over."""
    ids = await past.ended(store, Outcome.SUCCEEDED, 2, ago=20)
    await past.make_days(store.db, 12, 13)
    await end_earlier(store.db, ids, days=-8)
    (dead,) = await past.ended(store, Outcome.FAILED, ago=20)
    await settle(retainer)
    assert await past.kept(store.db) == {dead}
    assert await past.has_day(store.db, 20)
    assert not await past.has_day(store.db, 12, "attempts")


async def test_no_end_goes_before_its_body(store: Store, retainer: Retainer) -> None:
    """A day of attempts stays while a kept task, or a dead letter, ended on it."""
    (dead,) = await past.ended(store, Outcome.FAILED, ago=12)
    (done,) = await past.ended(store, Outcome.SUCCEEDED, ago=15)
    await past.keep(store.db, "q", succeeded=30 * DAY)
    assert await store.retention.drop_attempts_day(past.day(12)) == "held"
    assert await store.retention.drop_attempts_day(past.day(15)) == "kept"
    await settle(retainer)
    for task_id in (dead, done):
        task = await store.tasks.get(task_id)
        assert task is not None
        assert task.completed_at is not None
    assert await past.books(store) == {"failed": 1, "succeeded": 1}


async def test_a_task_that_lives_on_keeps_its_body_without_its_oldest_history(
    store: Store, retainer: Retainer
) -> None:
    worker = await storage.worker(store)
    (made,) = await storage.enqueue(store)
    claimed = await storage.claim(store, worker)
    await store.leases.finish(storage.ends(claimed, Outcome.SNOOZED, delay_seconds=HOUR))
    (task_id,) = await past.age(store.db, [made.id], 20)
    await settle(retainer)
    task = await store.tasks.get(task_id)
    assert task is not None
    assert task.status is Status.SCHEDULED
    assert not await past.has_day(store.db, 20, "attempts")
    assert await past.books(store) == {"scheduled": 1}


async def test_what_all_passes_went_by_is_found_in_the_end(
    store: Store, retainer: Retainer, caplog: pytest.LogCaptureFixture
) -> None:
    """Pages may be put in another order behind a pass (VACUUM FULL): the day's drop finds out."""
    (dead,) = await past.ended(store, Outcome.FAILED, ago=9)  # holds both of its days
    (live,) = await storage.enqueue(store)
    await past.age(store.db, [live.id], 9)
    await settle(retainer)
    await past.ended(store, Outcome.SUCCEEDED, 3, ago=9, queue="late")
    await store.acts.delete([dead])
    await store.db.execute(
        "DELETE FROM tidemill.retention_marks WHERE name = 'attempts'"
    )  # a day goes by
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await settle(retainer)
    assert "were passed by" in caplog.text
    assert await past.books(store) == {"queued": 1}


async def test_the_key_of_a_success_outlives_the_task(store: Store, retainer: Retainer) -> None:
    """At most one success a key and TTL, whatever the keep time."""
    await past.keep(store.db, "q", succeeded=0)
    worker = await storage.worker(store)
    (first,) = await storage.enqueue(store, queue="q", idempotency_key="k")
    claimed = await storage.claim(store, worker)
    await store.leases.finish(storage.ends(claimed, Outcome.SUCCEEDED))
    await settle(retainer)
    assert await store.tasks.get(first.id) is None
    (again,) = await storage.enqueue(store, queue="q", idempotency_key="k")
    assert (again.id, again.created) == (first.id, False)
    assert await past.books(store) == {}


async def test_a_body_locked_by_somebody_is_taken_later(store: Store, retainer: Retainer) -> None:
    await past.ended(store, Outcome.FAILED, ago=9)
    ids = await past.ended(store, Outcome.SUCCEEDED, 3, ago=9)
    async with store.db.transaction() as session:
        await session.execute("SELECT FROM tidemill.tasks WHERE id = $1 FOR KEY SHARE", ids[1])
        await settle(retainer)
        assert ids[1] in await past.kept(store.db)
    await settle(retainer)
    assert await past.books(store) == {"failed": 1}


async def test_parents_are_analysed_once_a_day(store: Store) -> None:
    await past.ended(store, Outcome.SUCCEEDED, 500)
    assert await store.retention.analyze()
    assert not await store.retention.analyze()
    rows = await store.db.fetch(
        "SELECT reltuples FROM pg_class WHERE oid IN ('tidemill.tasks'::regclass, 'tidemill.attempts'::regclass)"
    )
    assert [row["reltuples"] for row in rows] == [500, 500]
    await store.db.execute(
        "UPDATE tidemill.retention_marks SET at = at - interval '1 day' WHERE name = 'analyzed'"
    )
    assert await store.retention.analyze()


async def test_days_are_made_a_week_ahead_with_all_indexes(store: Store) -> None:
    await store.upkeep.ensure_partitions(9)
    days = await store.retention.days("tasks")
    assert min(days) == past.day(1)
    assert set(days) == {past.day(-n) for n in range(-1, 10)}
    assert set(await store.retention.days("attempts")) == set(days)
    rows = await store.db.fetch(
        "SELECT count(*) AS n FROM pg_index i JOIN pg_inherits h ON h.inhrelid = i.indrelid "
        "WHERE h.inhparent = 'tidemill.tasks'::regclass GROUP BY i.indrelid"
    )
    assert {row["n"] for row in rows} == {2}


@pytest.mark.parametrize("ago", [-7, -1, 0, 1])
async def test_a_day_that_is_needed_is_not_dropped(store: Store, ago: int) -> None:
    assert await store.retention.drop_day(past.day(ago), KEEP) == "early"
    assert await store.retention.drop_attempts_day(past.day(ago)) == "early"
    assert await past.has_day(store.db, ago)


def test_each_duty_can_be_switched_off(store: Store, settings: Settings) -> None:
    names = {each.name for each in duties(store, settings)}
    assert {"lapser", "retainer"} <= names
    off = Settings.load(
        {}, database_url=settings.database_url, retention_seconds=0, expire_seconds=0
    )
    assert not {"lapser", "retainer"} & {each.name for each in duties(store, off)}
