"""Idempotency keys: one task a key, whoever comes together with whom."""

import asyncio

import pytest

from tests.support import ledger, storage
from tidemill.db import Database
from tidemill.errors import DatabaseUnavailable, IdempotencyConflict
from tidemill.models import NewTask, TaskType
from tidemill.states import Outcome
from tidemill.store import Store


def keyed(key: str, **fields: object) -> NewTask:
    return NewTask(**({"type": "t", "idempotency_key": key} | fields))  # type: ignore[arg-type]  # a test's fields


async def test_the_same_key_finds_the_first_task(store: Store) -> None:
    (first,) = await store.tasks.enqueue([keyed("k", payload={"a": 1, "b": 2})])
    (again,) = await store.tasks.enqueue([keyed("k", payload={"b": 2, "a": 1})])
    assert (first.created, again.created) == (True, False)
    assert (again.id, again.status) == (first.id, None)
    assert (await ledger.balance(store))["queued"] == 1


async def test_keys_are_apart_by_queue(store: Store) -> None:
    made = await store.tasks.enqueue([keyed("k", queue="a"), keyed("k", queue="b"), keyed("K")])
    assert len({each.id for each in made}) == 3
    assert all(each.created for each in made)


@pytest.mark.parametrize("other", [{"payload": {"a": 2}}, {"type": "u"}], ids=["payload", "type"])
async def test_another_task_under_the_key_is_refused_with_its_batch(
    store: Store, db: Database, other: dict[str, object]
) -> None:
    (first,) = await store.tasks.enqueue([keyed("it's", payload={"a": 1})])
    with pytest.raises(IdempotencyConflict, match=rf"tasks\[1\].*'it''s'.*{first.id}"):
        await store.tasks.enqueue([keyed("new"), keyed("it's", **({"payload": {"a": 1}} | other))])
    assert await storage.count(db, "tasks") == await storage.count(db, "idempotency_keys") == 1


async def test_duplicates_inside_a_batch_are_one_task(store: Store) -> None:
    one, free, two, other = await store.tasks.enqueue(
        [keyed("k"), NewTask(type="t"), keyed("k"), keyed("l")]
    )
    assert (one.created, free.created, two.created, other.created) == (True, True, False, True)
    assert one.id == two.id
    assert (await ledger.balance(store))["queued"] == 3


async def test_a_conflict_inside_a_batch_is_refused(store: Store, db: Database) -> None:
    with pytest.raises(IdempotencyConflict, match=r"tasks\[1\]"):
        await store.tasks.enqueue([keyed("k", payload=1), keyed("k", payload=2)])
    assert await storage.count(db, "tasks") == 0


async def test_fifty_at_once_make_one_task(store: Store) -> None:
    answers = await asyncio.gather(*(store.tasks.enqueue([keyed("k")]) for _ in range(50)))
    assert sum(answer[0].created for answer in answers) == 1
    assert len({answer[0].id for answer in answers}) == 1
    assert (await ledger.balance(store))["queued"] == 1


async def test_batches_with_keys_in_opposite_order_do_not_deadlock(store: Store) -> None:
    keys = [f"k{n:02}" for n in range(30)]

    async def produce(turn: int) -> None:
        for _ in range(5):
            order = keys if turn % 2 else keys[::-1]
            await store.tasks.enqueue([keyed(key) for key in order])

    await asyncio.gather(*(produce(turn) for turn in range(8)))
    assert (await ledger.balance(store))["queued"] == 30


async def test_a_key_that_is_being_taken_is_waited_for(store: Store, db: Database) -> None:
    async with db.transaction() as first:
        made = await first.fetchval("SELECT tidemill.enqueue('t', idempotency_key => 'k')")
        second = asyncio.create_task(store.tasks.enqueue([keyed("k")]))
        await storage.until_blocked(db)
    (found,) = await second
    assert (found.id, found.created) == (made, False)


@pytest.mark.parametrize(
    "open_act", ["enqueue('t', idempotency_key => 'k')", "enqueue('t', queue => 'new')"]
)
async def test_who_never_commits_is_given_up_on(store: Store, db: Database, open_act: str) -> None:
    """A key being taken, a queue being created: nobody waits for long."""
    await storage.enqueue(store)
    async with db.transaction() as first:
        await first.execute(f"SELECT tidemill.{open_act}")
        with pytest.raises(DatabaseUnavailable, match="lock timeout"):
            await store.tasks.enqueue([keyed("k"), keyed("l", queue="new")])
    assert await storage.count(db, "tasks") == 2


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.CANCELLED])
async def test_a_key_is_free_again_after_a_task_without_success(
    store: Store, outcome: Outcome
) -> None:
    await store.tasks.enqueue([keyed("k"), keyed("l")])
    first, second = await storage.claim(store, await storage.worker(store))
    await store.leases.finish(
        [*storage.ends([first], outcome), *storage.ends([second], Outcome.SUCCEEDED)]
    )
    again = await store.tasks.enqueue([keyed("k"), keyed("l")])
    assert [each.created for each in again] == [True, False]


async def test_recovery_frees_the_key_of_a_dead_letter(store: Store, db: Database) -> None:
    await store.tasks.enqueue([keyed("k", max_retries=0)])
    await storage.claim(store, await storage.worker(store))
    await storage.expire_leases(db)
    await store.upkeep.recover(10, max_crashes=3)
    (again,) = await store.tasks.enqueue([keyed("k", max_retries=0)])
    assert again.created


async def test_a_key_past_its_time_is_taken_over_and_cleared(store: Store, db: Database) -> None:
    (first,) = await store.tasks.enqueue([keyed("k", payload=1)])
    await db.execute("UPDATE tidemill.idempotency_keys SET expires_at = statement_timestamp()")
    (second,) = await store.tasks.enqueue([keyed("k", payload=2, idempotency_ttl_seconds=60)])
    assert second.created
    assert second.id != first.id
    await db.execute("UPDATE tidemill.idempotency_keys SET expires_at = statement_timestamp()")
    assert await store.upkeep.expire(10) == 1
    # the first task's end must not free what is no longer its key
    (third,) = await store.tasks.enqueue([keyed("k", payload=3)])
    claimed = await storage.claim(store, await storage.worker(store))
    first_run = [task for task in claimed if task.id == first.id]
    await store.leases.finish(storage.ends(first_run, Outcome.FAILED))
    (again,) = await store.tasks.enqueue([keyed("k", payload=3)])
    assert (again.id, again.created) == (third.id, False)


async def test_the_key_goes_with_the_queue_that_the_task_goes_to(store: Store) -> None:
    await store.types.register([TaskType(name="t", queue="typed")], app="a:b")
    (by_type,) = await store.tasks.enqueue([keyed("k")])
    (by_name,) = await store.tasks.enqueue([keyed("k", queue="typed")])
    assert by_name.id == by_type.id


async def test_endings_and_enqueues_of_the_same_keys_do_not_deadlock(
    store: Store, db: Database
) -> None:
    """Many at once; test_store_races has the one order of locks that shows it."""
    keys = [f"k{n:03}" for n in range(200)]
    identity = await storage.worker(store)

    async def produce() -> None:
        for _ in range(10):
            await store.tasks.enqueue([keyed(key) for key in keys])

    async def consume() -> None:
        for _ in range(10):
            claimed = await storage.claim(store, identity, 200)
            await store.leases.finish(storage.ends(claimed[::-1], Outcome.FAILED))

    await asyncio.gather(produce(), produce(), consume(), consume())
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    assert await db.fetchval(deadlocks) == 0
    await ledger.balance(store)
