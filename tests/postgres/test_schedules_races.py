"""Schedules in many hands: each slot once, whoever dies, pauses or changes what when."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar
from urllib.parse import urlsplit

import pytest

from tests.support import storage
from tests.support.postgres import Server
from tests.support.schedules import fired, got, now, pass_time, put, settled
from tidemill import sql
from tidemill.connecting import Connector
from tidemill.db import Database, Session
from tidemill.errors import DatabaseUnavailable
from tidemill.schedules import NewSchedule
from tidemill.settings import Settings
from tidemill.store import Store

T = TypeVar("T")
SCHEDULERS = 8
Open = Callable[[], Store]


@pytest.fixture
async def another(settings: Settings) -> AsyncIterator[Open]:
    """Stores with pools of their own, as other processes have."""
    async with AsyncExitStack() as stack:

        def opened() -> Store:
            db = Database.of(settings, application="tests", pool_size=2)
            stack.push_async_callback(db.close)
            return Store.of(db)

        yield opened


async def fire_all(store: Store, limit: int = 7) -> None:
    """Fire until nothing is left that nobody else has in hand."""
    while (await store.schedules.fire(limit)).schedules:
        pass


async def test_eight_schedulers_fire_each_of_many_slots_once(
    store: Store, db: Database, another: Open
) -> None:
    schedules, rounds = 40, 8
    for n in range(schedules):
        await put(store, f"s{n}", queue=f"q{n % 3}")
    others = [another() for _ in range(SCHEDULERS)]
    for _ in range(rounds):
        await pass_time(db)
        await asyncio.gather(*(fire_all(each) for each in others))
        assert await db.fetch(sql.load("schedules_due_names"), 1000) == []
    counts = await settled(store)
    assert counts == dict.fromkeys(counts, rounds)
    assert len(counts) == schedules


async def test_cut_sessions_in_the_middle_lose_and_repeat_nothing(
    store: Store, db: Database, another: Open, server: Server, database_url: str
) -> None:
    schedules, rounds = 30, 6
    for n in range(schedules):
        await put(store, f"s{n}")
    others = [another() for _ in range(4)]

    async def fire_through_cuts(each: Store) -> None:
        while await each.db.fetch(sql.load("schedules_due_names"), 1):
            await each.schedules.fire(5)

    async def stubborn(each: Store) -> None:
        while True:
            try:
                return await fire_through_cuts(each)
            except DatabaseUnavailable:
                await asyncio.sleep(0)

    cuts = 0
    for _ in range(rounds):
        await pass_time(db)
        firing = asyncio.gather(*(stubborn(each) for each in others))
        for _ in range(3):
            cuts += await asyncio.to_thread(server.cut, urlsplit(database_url).path[1:])
            await asyncio.sleep(0.005)
        await firing
        await stubborn(store)
    assert cuts
    counts = await settled(store)
    assert counts == {f"s{n}": rounds for n in range(schedules)}


class CutBeforeCommit(Database):
    """A process that dies when all but the commit is done."""

    async def retrying(self, act: Callable[[Session], Awaitable[T]]) -> T:
        async def act_and_die(session: Session) -> T:
            done = await act(session)
            session.connection.terminate()
            return done

        return await super().retrying(act_and_die)


class DeafAtCommit(Database):
    """A process that never hears of its commit."""

    @asynccontextmanager
    async def transaction(self, *, snapshot: bool = False) -> AsyncGenerator[Session]:
        async with super().transaction(snapshot=snapshot) as session:
            yield session
        raise DatabaseUnavailable("the answer to the commit is lost")


async def test_who_dies_before_the_commit_leaves_the_slot_to_the_next(
    store: Store, db: Database, settings: Settings
) -> None:
    await put(store)
    await pass_time(db)
    dying = CutBeforeCommit(Connector(settings, application="tests"), 2)
    done = await Store.of(dying).schedules.fire(10)
    assert (done.tasks, list(done.failed)) == (0, ["s"])
    await dying.close()
    assert await settled(store) == {}
    assert (await store.schedules.fire(10)).tasks == 1
    assert await settled(store) == {"s": 1}


async def test_who_never_hears_of_its_commit_fires_nothing_twice(
    store: Store, db: Database, settings: Settings
) -> None:
    await put(store)
    await pass_time(db)
    deaf = DeafAtCommit(Connector(settings, application="tests"), 2)
    done = await Store.of(deaf).schedules.fire(10)
    assert done.tasks == 0
    await deaf.close()
    assert await settled(store) == {"s": 1}
    await store.schedules.fire(10)
    assert await settled(store) == {"s": 1}


async def test_once_a_pause_is_answered_no_slot_fires(
    store: Store, db: Database, another: Open
) -> None:
    others = [another() for _ in range(3)]
    seen = Counter[int]()
    for n in range(15):
        name = f"s{n}"
        await put(store, name)
        await pass_time(db)
        firing = [asyncio.create_task(each.schedules.fire(10)) for each in others]
        await asyncio.sleep(0.002 * (n % 4))
        paused = await store.schedules.pause(name)
        at_pause = (await fired(db))[name]
        await asyncio.gather(*firing)
        assert (await fired(db))[name] == at_pause <= 1
        await pass_time(db)
        await fire_all(store)
        assert (await fired(db))[name] == at_pause
        assert paused.paused
        seen[at_pause] += 1
    await settled(store)
    assert sum(seen.values()) == 15


async def test_a_schedule_in_other_hands_is_passed_by(
    store: Store, db: Database, another: Open
) -> None:
    await put(store, "held")
    await put(store, "free")
    await pass_time(db)
    async with another().db.transaction() as session:
        assert len(await session.fetch(sql.load("schedules_due"), 10, ["held"])) == 1
        assert (await store.schedules.fire(10)).tasks == 1
        assert await fired(db) == {"free": 1}
    assert (await store.schedules.fire(10)).tasks == 1
    assert await settled(store) == {"free": 1, "held": 1}


async def test_a_change_waits_for_who_fires_and_counts_from_then(
    store: Store, db: Database, another: Open
) -> None:
    await put(store)
    await pass_time(db)
    other = another()
    async with other.db.transaction() as session:
        await session.fetch(sql.load("schedules_due"), 10, None)
        changing = asyncio.create_task(put(store, "s", "30 4 * * *"))
        await storage.until_blocked(db)
    changed = await changing
    assert changed.next_slot is not None
    assert changed.next_slot > await now(db)
    assert (await other.schedules.fire(10)).schedules == 0
    assert await fired(db) == {}


async def test_eight_processes_that_declare_the_same_schedules_make_each_once(
    store: Store, another: Open
) -> None:
    declared = [NewSchedule(name=f"s{n}", cron="@daily", type="t") for n in range(10)]
    await asyncio.gather(*(another().schedules.register(declared, app="a:b") for _ in range(8)))
    before = await store.schedules.list()
    assert [each.name for each in before] == sorted(each.name for each in declared)
    assert {each.app for each in before} == {"a:b"}
    await asyncio.gather(*(another().schedules.register(declared, app="a:b") for _ in range(4)))
    assert await store.schedules.list() == before  # written once: not even `updated_at` moves


async def test_a_schedule_put_at_once_by_many_is_new_once(another: Open, store: Store) -> None:
    new = NewSchedule(name="s", cron="@daily", type="t")
    answers = await asyncio.gather(
        *(another().schedules.put(new, app=f"a{n}") for n in range(SCHEDULERS))
    )
    assert [created for _, created in answers].count(True) == 1
    assert (await got(store)).definition == new
