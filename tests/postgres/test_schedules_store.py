"""What is said of schedules: put, changed, paused, resumed, run by hand, refused."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.support import ledger
from tests.support.logins import login
from tests.support.postgres import settings_of
from tests.support.schedules import fired, got, now, pass_time, put, settled
from tidemill.db import Database
from tidemill.errors import InvalidSchedule, NotFound, UnknownType
from tidemill.models import TaskType
from tidemill.retry import RetryPolicy
from tidemill.schedules import SCHEDULE_HEADER, SLOT_HEADER, NewSchedule
from tidemill.store import Store
from tidemill.store.firing import EnqueueRules

FULL = NewSchedule(
    name="full",
    cron="0 4 * * *",
    time_zone="Europe/Rome",
    type="t",
    payload={"a": [1, "é", None]},
    queue="q",
    priority=-3,
    max_retries=0,
    timeout_seconds=1.5,
    retry=RetryPolicy(policy="list", delays_seconds=(1.0, 2.0)),
    headers={"traceparent": "00-1"},
    missed="skip",
)


async def test_what_is_put_is_what_is_read(store: Store, db: Database) -> None:
    schedule, created = await store.schedules.put(FULL, app="a:b")
    assert created
    assert schedule.definition == FULL
    assert (schedule.paused, schedule.app) == (False, "a:b")
    assert (schedule.last_slot, schedule.last_error) == (None, None)
    assert schedule.next_slot is not None
    assert timedelta(0) < schedule.next_slot - await now(db) <= timedelta(days=1, hours=1)
    assert await store.schedules.get("full") == schedule
    assert await store.schedules.list() == [schedule]
    assert await store.schedules.get("other") is None


async def test_the_same_put_again_changes_nothing(store: Store) -> None:
    schedule, _ = await store.schedules.put(FULL, app="a:b")
    assert await store.schedules.put(FULL, app="a:b") == (schedule, False)


async def test_another_payload_leaves_the_slot_that_has_come(store: Store, db: Database) -> None:
    await put(store)
    await pass_time(db)
    due = (await got(store)).next_slot
    changed = await put(store, payload=[1])
    assert changed.next_slot == due
    assert (await store.schedules.fire(10)).tasks == 1


@pytest.mark.parametrize("said", [{"cron": "30 * * * *"}, {"time_zone": "Asia/Kathmandu"}])
async def test_another_time_waits_for_its_first_slot_from_now_on(
    store: Store, db: Database, said: dict[str, Any]
) -> None:
    await put(store, cron="@hourly")
    await pass_time(db, 5 * 3600)
    changed = await put(store, **({"cron": "@hourly"} | said))
    assert changed.next_slot is not None
    assert changed.next_slot > await now(db)
    assert changed.next_slot.minute in (15, 30, 45)
    assert (await store.schedules.fire(10)).schedules == 0


async def test_a_change_forgets_the_last_error(store: Store, db: Database) -> None:
    await put(store, type="unknown")
    await pass_time(db)
    await store.schedules.fire(10, EnqueueRules(unknown_types="reject"))
    assert (await got(store)).last_error is not None
    assert (await put(store)).last_error is None


async def test_an_end_that_comes_closer_or_goes(store: Store, db: Database) -> None:
    schedule = await put(store)
    assert schedule.next_slot is not None
    ended = await put(store, ends_at=schedule.next_slot - timedelta(seconds=1))
    assert ended.next_slot is None
    assert (await put(store, ends_at=schedule.next_slot)).next_slot == schedule.next_slot
    await pass_time(db)
    assert (await put(store)).next_slot == schedule.next_slot - timedelta(hours=1)


async def test_a_paused_schedule_does_not_fire(store: Store, db: Database) -> None:
    await put(store)
    paused = await store.schedules.pause("s")
    assert paused.paused
    assert await store.schedules.pause("s") == paused
    await pass_time(db)
    assert (await store.schedules.fire(10)).schedules == 0
    changed = await put(store, payload=1)
    assert changed.paused  # a change says nothing of it
    assert await fired(db) == {}


@pytest.mark.parametrize("by_put", [False, True])
@pytest.mark.parametrize(("missed", "tasks"), [("once", 1), ("skip", 0)])
async def test_what_came_while_paused_is_missed(
    store: Store, db: Database, missed: str, tasks: int, *, by_put: bool
) -> None:
    await put(store, missed=missed)
    await store.schedules.pause("s")
    await pass_time(db, 10 * 3600)
    if by_put:
        await put(store, missed=missed, paused=False)
    else:
        resumed = await store.schedules.resume("s")
        assert not resumed.paused
        assert await store.schedules.resume("s") == resumed
    assert (await store.schedules.fire(10)).tasks == tasks
    following = (await got(store)).next_slot
    assert following is not None
    assert following > await now(db)
    assert (await settled(store)).total() == tasks


@pytest.mark.parametrize(("missed", "forgotten"), [("once", False), ("skip", True)])
async def test_a_slot_of_just_now_that_came_while_paused_is_a_missed_one_too(
    store: Store, db: Database, missed: str, *, forgotten: bool
) -> None:
    await put(store, cron="* * * * *", missed=missed, paused=True)
    minute = (await now(db)).replace(second=0, microsecond=0)
    await db.execute("UPDATE tidemill.schedules SET next_slot = $1", minute)
    resumed = await store.schedules.resume("s")
    assert resumed.next_slot is not None
    assert (resumed.next_slot > minute) is forgotten


async def test_a_pause_in_which_no_slot_came_misses_nothing(store: Store) -> None:
    before = await put(store, missed="skip")
    await store.schedules.pause("s")
    assert (await store.schedules.resume("s")).next_slot == before.next_slot


async def test_a_schedule_may_be_born_paused(store: Store, db: Database) -> None:
    await put(store, paused=True)
    await pass_time(db)
    assert (await store.schedules.fire(10)).schedules == 0
    assert (await put(store, paused=False)).paused is False
    assert (await store.schedules.fire(10)).tasks == 1


async def test_run_now_is_a_task_at_once_and_no_slot(store: Store) -> None:
    await put(store, queue="q", payload=[1], headers={"a": "b"})
    before = await got(store)
    await store.schedules.pause("s")
    first, second = [await store.schedules.run_now("s") for _ in range(2)]
    assert first.id != second.id
    assert first.queue == "q"
    task = await store.tasks.get(first.id)
    assert task is not None
    assert (task.name, task.payload) == ("s", [1])
    assert task.headers == {"a": "b", SCHEDULE_HEADER: "s"}
    assert SLOT_HEADER not in task.headers
    after = await got(store)
    assert (after.next_slot, after.last_slot) == (before.next_slot, None)
    assert await store.schedules.fired("s", 10) == []
    assert (await ledger.balance(store))["queued"] == 2


async def test_run_now_obeys_the_rules_of_an_enqueue(store: Store) -> None:
    await put(store)
    with pytest.raises(UnknownType):
        await store.schedules.run_now("s", EnqueueRules(unknown_types="reject"))
    await store.types.register([TaskType(name="t")], app="a:b")
    assert (await store.schedules.run_now("s", EnqueueRules(unknown_types="reject"))).created


async def test_the_apps_role_can_do_it_all(db: Database, database_url: str) -> None:
    async with login(db, database_url, "tidemill_app") as (_, url):
        app = Database.of(settings_of(url), application="tests")
        store = Store.of(app)
        await put(store)
        await store.schedules.pause("s")
        await store.schedules.resume("s")
        await store.schedules.run_now("s")
        await pass_time(db)
        assert (await store.schedules.fire(10)).tasks == 1
        await put(store, type="unknown")
        await pass_time(db)
        refused = await store.schedules.fire(10, EnqueueRules(unknown_types="reject"))
        assert list(refused.failed) == ["s"]
        await db.execute("UPDATE tidemill.schedule_slots SET fired_at = 'epoch'")
        assert await store.upkeep.expire(1000) == 1
        await store.schedules.delete("s")
        await app.close()


async def test_what_is_not_there_is_said(store: Store) -> None:
    for act in (
        store.schedules.delete("none"),
        store.schedules.pause("none"),
        store.schedules.resume("none"),
        store.schedules.run_now("none"),
        store.schedules.upcoming("none", 3),
    ):
        with pytest.raises(NotFound, match="no schedule none"):
            await act
    assert await store.schedules.fired("none", 3) == []


async def test_upcoming_slots_are_those_that_will_fire(store: Store, db: Database) -> None:
    schedule = await put(store)
    assert schedule.next_slot is not None
    coming = [schedule.next_slot + timedelta(hours=n) for n in range(3)]
    assert await store.schedules.upcoming("s", 3) == coming
    await pass_time(db)
    assert await store.schedules.upcoming("s", 3) == coming  # not the one that has come
    await store.schedules.fire(10)
    assert (await got(store)).next_slot == coming[0]


async def test_fired_slots_are_listed_latest_first(store: Store, db: Database) -> None:
    await put(store)
    for _ in range(3):
        await pass_time(db)
        await store.schedules.fire(10)
    last = (await got(store)).last_slot
    assert last is not None
    slots = await store.schedules.fired("s", 2)
    assert [each.slot for each in slots] == [last, last - timedelta(hours=1)]
    assert slots[0].fired_at > slots[1].fired_at


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": "n" * 201}, "name"),
        ({"cron": "0 0 30 2 *"}, "cron"),
        ({"time_zone": "Rome"}, "time_zone"),
        ({"type": "has space"}, "type"),
        ({"queue": "a/b"}, "queue"),
        ({"priority": 40_000}, "priority"),
        ({"max_retries": -1}, "max_retries"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
        ({"retry": RetryPolicy(factor=0)}, "retry.factor"),
        ({"payload": float("nan")}, "payload"),
        ({"payload": "x" * 2_000_000}, "payload"),
        ({"headers": {"a": "\0"}}, "headers"),
        ({"missed": "all"}, "missed"),
        ({"ends_at": datetime(2030, 1, 1)}, "ends_at"),  # noqa: DTZ001 - its subject
    ],
)
async def test_what_breaks_a_rule_is_refused_by_field(
    store: Store, said: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidSchedule) as refused:
        await put(store, **said)
    assert [fault.field for fault in refused.value.faults] == [field]
    assert field in str(refused.value)
    assert await store.schedules.list() == []


async def test_every_broken_rule_is_named_at_once(store: Store) -> None:
    with pytest.raises(InvalidSchedule) as refused:
        await put(store, cron="x", time_zone="y", type="", missed="z")
    assert [each.field for each in refused.value.faults] == ["cron", "time_zone", "missed", "type"]
