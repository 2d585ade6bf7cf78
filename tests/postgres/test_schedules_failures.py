"""A schedule that cannot fire: it says so, goes on at its next slot, and holds nobody up."""

import logging
from datetime import timedelta

import pytest

from tests.support.postgres import settings_of
from tests.support.schedules import HOUR, fired, got, now, pass_time, put, settled
from tidemill import sql
from tidemill.db import Database
from tidemill.errors import DatabaseUnavailable
from tidemill.maintenance import Scheduler
from tidemill.models import TaskType
from tidemill.settings import Settings
from tidemill.store import Store
from tidemill.store.firing import EnqueueRules, Fired

REJECT = EnqueueRules(unknown_types="reject")


async def fire_beside_healthy_ones(store: Store, rules: EnqueueRules | None = None) -> Fired:
    """Fire the schedule `s` of this test amid ten others that must not notice."""
    before = await fired(store.db)
    await store.types.register([TaskType(name="healthy")], app="a:b")
    for n in range(10):
        await put(store, f"ok{n}", type="healthy", queue="healthy")
    await pass_time(store.db)
    done = await store.schedules.fire(100, rules)
    after = await fired(store.db)
    assert {f"ok{n}": after[f"ok{n}"] - before[f"ok{n}"] for n in range(10)} == {
        f"ok{n}": 1 for n in range(10)
    }
    return done


async def failed(store: Store, because: str, *, retried: bool = False) -> None:
    """Check that `s` has not fired and says why, and waits for its next slot."""
    schedule = await got(store)
    assert schedule.last_error is not None
    assert because in schedule.last_error
    assert schedule.last_error_at is not None
    assert schedule.next_slot is not None
    assert (schedule.next_slot <= await now(store.db)) is retried
    assert (await fired(store.db))["s"] == 0


async def test_a_type_that_is_refused_and_then_registered(store: Store) -> None:
    await put(store, type="unknown")
    done = await fire_beside_healthy_ones(store, REJECT)
    assert (done.tasks, list(done.failed)) == (10, ["s"])
    await failed(store, "type: 'unknown' is not a registered task type")

    await store.types.register([TaskType(name="unknown")], app="a:b")
    assert (await store.schedules.fire(100, REJECT)).schedules == 0  # that slot is over
    assert (await fire_beside_healthy_ones(store, REJECT)).failed == {}
    schedule = await got(store)
    assert (schedule.last_error, schedule.last_error_at) == (None, None)
    assert (await settled(store))["s"] == 1


async def test_a_full_queue(store: Store, db: Database) -> None:
    await put(store, queue="full")
    await db.execute("INSERT INTO tidemill.queues (name, max_depth) VALUES ('full', 1)")
    await db.execute("SELECT tidemill.enqueue('t', queue => 'full')")
    assert list((await fire_beside_healthy_ones(store)).failed) == ["s"]
    schedule = await got(store)
    assert schedule.last_error is not None
    assert "full" in schedule.last_error
    assert schedule.next_slot is not None
    assert schedule.next_slot > await now(db)


async def test_a_queue_that_does_not_exist_where_none_is_made(store: Store, db: Database) -> None:
    await put(store, queue="missing")
    await db.execute("INSERT INTO tidemill.queues (name) VALUES ('healthy')")
    await fire_beside_healthy_ones(store, EnqueueRules(create_queues=False))
    await failed(store, "must be a queue that exists")


async def test_a_payload_larger_than_this_process_takes(store: Store) -> None:
    await put(store, payload="x" * 1000)
    await fire_beside_healthy_ones(store, EnqueueRules(max_payload_bytes=100))
    await failed(store, "payload: must be at most 100 bytes as JSON")


@pytest.mark.parametrize(
    ("column", "value", "because"),
    [
        ("time_zone", "Mars/Olympus", "must be an IANA time zone"),
        ("cron", "every day", "must have 5 fields"),
        ("queue", "no such/name", "must be a name of at most 63"),
        ("headers", "[1]", "list"),
    ],
)
async def test_a_schedule_that_a_hand_has_broken(
    store: Store, db: Database, column: str, value: str, because: str
) -> None:
    await put(store)
    kind = "json" if column == "headers" else "text"
    await db.execute(f"UPDATE tidemill.schedules SET {column} = $1::text::{kind}", value)  # noqa: S608 - of this file
    assert list((await fire_beside_healthy_ones(store)).failed) == ["s"]
    await failed(store, because)
    assert [each.name for each in await store.schedules.list()][-1] == "s"  # and is still shown


async def test_a_schedule_that_cannot_be_read_is_looked_at_again_in_an_hour(
    store: Store, db: Database
) -> None:
    await put(store)
    await db.execute("UPDATE tidemill.schedules SET time_zone = 'Mars/Olympus'")
    await pass_time(db)
    await store.schedules.fire(10)
    again = (await got(store)).next_slot
    assert again is not None
    assert timedelta(minutes=59) < again - await now(db) <= timedelta(hours=1)
    await db.execute("UPDATE tidemill.schedules SET time_zone = 'UTC'")  # a process that knows it
    await pass_time(db, 2 * HOUR)
    assert (await store.schedules.fire(10)).tasks == 1
    assert (await got(store)).last_error is None


async def test_an_unreadable_retry_policy_is_none(store: Store, db: Database) -> None:
    await put(store)
    await db.execute("""UPDATE tidemill.schedules SET retry = '{"polcy": 1}'""")
    await pass_time(db)
    assert (await store.schedules.fire(10)).tasks == 1
    assert await settled(store) == {"s": 1}


async def test_who_waits_for_another_transaction_holds_nobody_up_and_fires_later(
    store: Store, db: Database
) -> None:
    async with db.transaction() as session:
        await session.execute("INSERT INTO tidemill.queues (name) VALUES ('x')")
        await put(store, queue="x")
        done = await fire_beside_healthy_ones(store)
        assert (done.tasks, list(done.failed)) == (10, ["s"])
        assert [row["name"] for row in await db.fetch(sql.load("schedules_due_names"), 9)] == ["s"]
    done = await store.schedules.fire(100)
    assert (done.tasks, done.failed) == (1, {})
    assert (await settled(store))["s"] == 1


async def test_the_duty_tells_of_a_schedule_that_fails(
    store: Store, db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    await put(store, type="unknown")
    await pass_time(db)
    duty = Scheduler(store, 1.0, REJECT)
    with caplog.at_level(logging.WARNING):
        await duty.run_once()
        await duty.run_once()
    (record,) = caplog.records
    assert record.__dict__["schedule"] == "s"
    assert "not a registered task type" in record.getMessage()


async def test_without_a_database_the_duty_waits_for_it(settings: Settings) -> None:
    nowhere = settings_of("postgresql://x@127.0.0.1:1/x", database_connect_seconds=1)
    assert nowhere.database_url != settings.database_url
    away = Store.of(Database.of(nowhere, application="tests"))
    with pytest.raises(DatabaseUnavailable):
        await Scheduler(away, 1.0, EnqueueRules()).run_once()
