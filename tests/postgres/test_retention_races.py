"""Retention beside everything else: who comes first wins, and no task is ever half there."""

# ruff: noqa: E501 - SQL

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg

from tests.support import past, storage
from tidemill.acts import Verdict
from tidemill.db import Database, Session
from tidemill.maintenance.retention import Retainer
from tidemill.settings import Settings
from tidemill.states import Outcome, Status
from tidemill.store import Store
from tidemill.store.retention import Keep

KEEP = Keep(succeeded=604_800, failed=2_592_000, cancelled=604_800)
LOCKED_SECONDS = 0.2
"""What `drop_day` waits for a lock, as its promise says."""


@asynccontextmanager
async def held(db: Database, statement: str, *args: Any) -> AsyncGenerator[Session]:
    """Another session that has done something and has not committed yet."""
    async with db.transaction() as session:
        await session.fetch(statement, *args)
        yield session


async def revive(session: Session, task: UUID) -> None:
    """What an act does that lets an ended task live again: hold the body, then put it in place."""
    await session.fetch("SELECT FROM tidemill.tasks WHERE id = $1 FOR KEY SHARE", task)
    await session.execute(
        "INSERT INTO tidemill.ready (task_id, queue_id, priority, lane, ready_at) VALUES ($1, 1, 0, 0, now())",
        task,
    )
    await session.execute(
        "INSERT INTO tidemill.throughput_deltas (queue_id, d_queued, d_succeeded) VALUES (1, 1, -1)"
    )


async def test_replay_racing_the_drop_of_its_day(store: Store) -> None:
    """The replay is first: its day stays, before and after its commit."""
    (task,) = await past.ended(store, Outcome.SUCCEEDED, ago=9)
    async with store.db.transaction() as session:
        await revive(session, task)
        assert await store.retention.drop_day(past.day(9), KEEP) == "busy"
    assert await store.retention.drop_day(past.day(9), KEEP) == "held"
    assert await past.books(store) == {"queued": 1}


async def test_the_drop_racing_a_replay(store: Store) -> None:
    """The drop is first: the replay waits for it, and finds no task."""
    (task,) = await past.ended(store, Outcome.SUCCEEDED, ago=9)
    async with store.db.transaction() as session:
        assert (
            await session.fetchval("SELECT tidemill.drop_day($1, 604800, 604800)", past.day(9))
            == "dropped"
        )
        late = asyncio.create_task(store.acts.retry([task]))
        await storage.until_blocked(store.db)
    assert (await late)[task].verdict is Verdict.MISSING
    assert await past.books(store) == {}


async def test_replays_and_drops_at_once(store: Store) -> None:
    """Whatever order they come in: replayed tasks are there whole, the others are gone whole."""
    for ago in range(31, 36):
        dead = await past.ended(store, Outcome.FAILED, 10, ago=ago, queue=f"q{ago}")
        await past.ended(store, Outcome.SUCCEEDED, 10, ago=ago, queue=f"r{ago}")
        acts, *_ = await asyncio.gather(
            store.acts.retry(dead),
            store.retention.thin_dead_letters(KEEP, 4),
            store.retention.drop_day(past.day(ago), KEEP),
            store.retention.thin_dead_letters(KEEP, 100),
            store.retention.drop_day(past.day(ago), KEEP),
        )
        revived = {task for task, act in acts.items() if act.verdict is Verdict.DONE}
        assert all(acts[task].verdict is Verdict.MISSING for task in set(dead) - revived)
        assert revived <= await past.kept(store.db)
        await past.books(store)


async def test_a_dead_letter_being_replayed_is_not_thinned(store: Store) -> None:
    (task,) = await past.ended(store, Outcome.FAILED, ago=31)
    share = "SELECT FROM tidemill.tasks WHERE id = $1 FOR KEY SHARE"
    async with held(store.db, share, task):
        assert await store.retention.thin_dead_letters(KEEP, 100) == 0
    assert (await store.acts.retry([task]))[task].verdict is Verdict.DONE
    assert await store.retention.thin_dead_letters(KEEP, 100) == 0
    assert await past.books(store) == {"queued": 1}


async def test_the_drop_behind_a_long_reader_fails_within_its_lock_timeout_and_hides_nothing(
    store: Store, settings: Settings
) -> None:
    tasks = await past.ended(store, Outcome.SUCCEEDED, 5, ago=9)
    reader = await asyncpg.connect(**_options(settings))
    try:
        async with reader.transaction(isolation="repeatable_read"):
            count = "SELECT count(*) FROM tidemill.tasks"
            assert await reader.fetchval(count) == 5
            began = asyncio.get_running_loop().time()
            dropping = asyncio.create_task(store.retention.drop_day(past.day(9), KEEP))
            while not dropping.done():
                assert await reader.fetchval(count) == 5
                assert await store.tasks.get(tasks[0]) is not None
                await asyncio.sleep(0)
            assert await dropping == "busy"
            assert asyncio.get_running_loop().time() - began < LOCKED_SECONDS + 20
            assert await reader.fetchval(count) == 5
        assert await past.books(store) == {"succeeded": 5}
        assert await store.retention.drop_day(past.day(9), KEEP) == "dropped"
        assert await past.books(store) == {}
    finally:
        await reader.close()


def _options(settings: Settings) -> dict[str, Any]:
    return {"dsn": settings.database_url}


async def test_a_deletion_while_the_day_is_counted_is_not_counted_twice(
    store: Store, db: Database
) -> None:
    """The day is closed to writers, then counted once more: a different number is not dropped."""
    tasks = await past.ended(store, Outcome.SUCCEEDED, 3, ago=9)
    name = f"tidemill.tasks_{past.day(9):%Y%m%d}"
    async with held(db, "SELECT FROM tidemill.tasks WHERE id = $1 FOR UPDATE", tasks[0]):
        assert await store.retention.drop_day(past.day(9), KEEP) == "busy"
    async with db.transaction() as session:  # holds the lock that the drop takes after counting
        await session.execute(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE")
        late = asyncio.create_task(store.retention.drop_day(past.day(9), KEEP))
        await storage.until_blocked(db)
        await session.execute("SELECT FROM tidemill.tasks")
        await session.execute("DELETE FROM tidemill.attempts WHERE task_id = $1", tasks[0])
        await session.execute("DELETE FROM tidemill.tasks WHERE id = $1", tasks[0])
        await session.execute(
            "INSERT INTO tidemill.throughput_deltas (queue_id, deleted, d_succeeded) VALUES (1, 1, -1)"
        )
    assert await late == "busy"
    assert await past.books(store) == {"succeeded": 2}
    assert await store.retention.drop_day(past.day(9), KEEP) == "dropped"
    assert await past.books(store) == {}


async def test_two_processes_at_once_remove_each_task_once(
    store: Store, settings: Settings
) -> None:
    for ago in (8, 9, 31):
        await past.ended(store, Outcome.SUCCEEDED, 1100, ago=ago)
        await past.ended(store, Outcome.FAILED, 300, ago=ago)
    retainers = [Retainer(store, settings) for _ in range(4)]
    idle = 0
    while idle < 2:  # one process may find all marks taken by the others
        idle = (
            0 if any(await asyncio.gather(*(each.run_once() for each in retainers))) else idle + 1
        )
    assert await past.books(store) == {"failed": 600}
    assert await past.has_day(store.db, 9)
    assert not await past.has_day(store.db, 31)


async def test_days_drop_while_producers_and_workers_run(store: Store, settings: Settings) -> None:
    """They see no error, only a wait: nothing that they do takes part in the drop of a past day."""
    for ago in range(9, 15):
        await past.ended(store, Outcome.SUCCEEDED, 50, ago=ago)
    worker = await storage.worker(store)
    done = asyncio.Event()
    finished = 0

    async def produce() -> None:
        while not done.is_set():
            await storage.enqueue(store, 5)

    async def work() -> None:
        nonlocal finished
        while not done.is_set():
            tasks = await storage.claim(store, worker, 20)
            done_now = await store.leases.finish(storage.ends(tasks, Outcome.SUCCEEDED))
            finished += len(done_now)

    busy = [asyncio.create_task(each()) for each in (produce, produce, work, work)]
    retainer = Retainer(store, settings)
    await storage.until(lambda: _all_gone(retainer, store))
    done.set()
    await asyncio.gather(*busy)
    assert finished
    statuses = await past.books(store)
    assert statuses[Status.SUCCEEDED] == finished


async def _all_gone(retainer: Retainer, store: Store) -> bool:
    await retainer.run_once()
    return not any([await past.has_day(store.db, ago) for ago in range(9, 15)])
