"""Slots that have come: each becomes one task, with what its schedule says."""

from datetime import timedelta
from typing import Any

import pytest

from tests.support.schedules import HOUR, fired, got, now, pass_time, put, settled
from tidemill import maintenance
from tidemill.db import Database
from tidemill.maintenance import Scheduler
from tidemill.models import TaskType
from tidemill.retry import RetryPolicy
from tidemill.schedules import SCHEDULE_HEADER, SLOT_HEADER, slot_text
from tidemill.settings import Settings
from tidemill.store import Store
from tidemill.store.firing import SKIP_SECONDS, EnqueueRules


async def test_a_slot_that_has_come_is_one_task_with_what_its_schedule_says(
    store: Store, db: Database
) -> None:
    retry = RetryPolicy(policy="fixed", base_seconds=7)
    said: dict[str, Any] = {
        "queue": "q",
        "priority": 5,
        "max_retries": 1,
        "timeout_seconds": 9.0,
        "retry": retry,
    }
    await put(store, "nightly", payload={"to": ["a"]}, headers={"trace": "x"}, **said)
    assert (await store.schedules.fire(10)).schedules == 0
    await pass_time(db)
    done = await store.schedules.fire(10)
    assert (done.schedules, done.tasks, done.queues, done.failed) == (1, 1, {"q"}, {})
    assert (await store.schedules.fire(10)).schedules == 0

    (slot,) = await store.schedules.fired("nightly", 10)
    task = await store.tasks.get(slot.task_id)
    assert task is not None
    assert (task.name, task.type, task.queue, task.priority) == ("nightly", "t", "q", 5)
    assert (task.payload, task.max_retries, task.timeout_seconds) == ({"to": ["a"]}, 1, 9.0)
    assert task.retry == retry.to_json()
    assert task.headers == {
        "trace": "x",
        SCHEDULE_HEADER: "nightly",
        SLOT_HEADER: slot_text(slot.slot),
    }
    schedule = await got(store, "nightly")
    assert schedule.last_slot == slot.slot
    assert schedule.next_slot == slot.slot + timedelta(hours=1)
    assert await settled(store) == {"nightly": 1}


async def test_defaults_are_the_types_at_the_time_of_the_slot(store: Store, db: Database) -> None:
    await put(store)
    await store.types.register([TaskType(name="t", queue="typed", max_retries=8)], app="a:b")
    await pass_time(db)
    assert (await store.schedules.fire(10)).queues == {"typed"}


async def test_a_schedule_fires_again_and_again(store: Store, db: Database) -> None:
    await put(store)
    for _ in range(5):
        await pass_time(db)
        await store.schedules.fire(10)
    assert await settled(store) == {"s": 5}


async def test_of_many_missed_slots_the_latest_fires_once(store: Store, db: Database) -> None:
    await put(store)
    await pass_time(db, 50 * HOUR)
    assert (await store.schedules.fire(10)).tasks == 1
    (slot,) = await store.schedules.fired("s", 10)
    assert timedelta(0) <= await now(db) - slot.slot <= timedelta(hours=1, seconds=60)
    assert await settled(store) == {"s": 1}


async def test_with_skip_a_slot_that_nobody_was_there_for_does_not_fire(
    store: Store, db: Database
) -> None:
    await put(store, "skip", "0 0 1 1 *", missed="skip")  # not due by itself within this test
    minute = (await now(db)).replace(second=0, microsecond=0)
    late = minute - timedelta(hours=3, minutes=1)
    await put(store, "skip", f"{late.minute} {late.hour} * * *", missed="skip")
    await db.execute("UPDATE tidemill.schedules SET next_slot = $1", late)
    done = await store.schedules.fire(10)
    assert (done.schedules, done.tasks) == (1, 0)
    schedule = await got(store, "skip")
    assert schedule.last_slot is None
    assert schedule.next_slot == late + timedelta(days=1)
    assert await settled(store) == {}


async def test_with_skip_a_slot_fires_that_is_a_little_late(store: Store, db: Database) -> None:
    await put(store, "skip", "* * * * *", missed="skip")
    await db.execute(
        "UPDATE tidemill.schedules SET next_slot = statement_timestamp() - interval '3 days'"
    )
    assert (await store.schedules.fire(10)).tasks == 1  # a minute's slot is less than 60 s old
    (slot,) = await store.schedules.fired("skip", 10)
    assert await now(db) - slot.slot <= timedelta(seconds=SKIP_SECONDS + 60)


async def test_no_slot_is_later_than_the_end(store: Store, db: Database) -> None:
    end = await now(db) + timedelta(hours=2)
    schedule = await put(store, ends_at=end)
    assert schedule.next_slot is not None
    assert await store.schedules.upcoming("s", 10) == [
        schedule.next_slot + n * timedelta(hours=1) for n in range(2)
    ]
    await db.execute("UPDATE tidemill.schedules SET ends_at = ends_at - interval '3 hours'")
    await pass_time(db, 5 * HOUR)
    assert (await store.schedules.fire(10)).tasks == 1  # the last one before the end
    assert (await got(store)).next_slot is None
    assert (await store.schedules.fire(10)).schedules == 0
    assert await store.schedules.upcoming("s", 10) == []


async def test_a_schedule_moved_back_does_not_fire_a_slot_again(store: Store, db: Database) -> None:
    await put(store)
    await pass_time(db)
    await store.schedules.fire(10)
    for _ in range(2):
        await db.execute("UPDATE tidemill.schedules SET next_slot = last_slot")
        done = await store.schedules.fire(10)
        assert (done.schedules, done.tasks) == (1, 0)
    assert await settled(store) == {"s": 1}


async def test_a_schedule_deleted_and_made_anew_does_not_fire_a_slot_again(
    store: Store, db: Database
) -> None:
    await put(store)
    await pass_time(db)
    await store.schedules.fire(10)
    last = (await got(store)).last_slot
    await store.schedules.delete("s")
    assert await store.schedules.get("s") is None
    schedule = await put(store)
    assert schedule.last_slot is None
    await db.execute("UPDATE tidemill.schedules SET next_slot = $1", last)
    await store.schedules.fire(10)
    assert await settled(store) == {"s": 1}


async def test_slots_are_forgotten_after_a_week(store: Store, db: Database) -> None:
    await put(store, "old")
    await put(store, "new")
    await pass_time(db)
    await store.schedules.fire(10)
    assert await store.upkeep.expire(1000) == 0
    await db.execute(
        "UPDATE tidemill.schedule_slots SET fired_at = fired_at - interval '8 days' "
        "WHERE schedule = 'old'"
    )
    assert await store.upkeep.expire(1000) == 1
    assert await store.schedules.fired("old", 10) == []
    assert len(await store.schedules.fired("new", 10)) == 1


async def test_the_duty_fires_and_tells_which_queues_got_tasks(store: Store, db: Database) -> None:
    for n in range(3):
        await put(store, f"s{n}", queue=f"q{n}")
    await pass_time(db)
    told: list[str] = []
    duty = Scheduler(store, 1.0, EnqueueRules(), told.append)
    assert await duty.run_once() == 0  # fewer than a batch: no need to look again at once
    assert sorted(told) == ["q0", "q1", "q2"]
    assert await fired(db) == {"s0": 1, "s1": 1, "s2": 1}


@pytest.mark.parametrize(("seconds", "there"), [(1.0, True), (0.0, False)])
def test_an_interval_of_zero_switches_the_duty_off(
    store: Store, seconds: float, there: bool
) -> None:
    loops = maintenance.duties(store, Settings(schedule_seconds=seconds))
    assert any(isinstance(loop, Scheduler) for loop in loops) is there
