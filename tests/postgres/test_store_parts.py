"""Batches in parts: one transaction, places of the whole batch, keys taken in any order."""

import asyncio
from typing import Any

import pytest

from tests.support import ledger, storage
from tidemill.errors import (
    DatabaseUnavailable,
    IdempotencyConflict,
    InvalidTask,
    QueueFull,
    UnknownType,
)
from tidemill.models import Enqueued, NewTask
from tidemill.store import Store
from tidemill.store.parts import Part, moved, place_of
from tidemill.store.tasks import enqueue_arguments

SIZE = 3


def parts_of(tasks: list[NewTask], unknown_types: str = "accept") -> list[Part]:
    cut = [tasks[start : start + SIZE] for start in range(0, len(tasks), SIZE)]
    return [Part(enqueue_arguments(each, unknown_types, 1000)) for each in cut]


def some(count: int, **fields: Any) -> list[NewTask]:
    return [NewTask(type="t", payload=n, **fields) for n in range(count)]


async def test_every_field_comes_through_its_part(store: Store) -> None:
    tasks = some(7)
    tasks[4] = NewTask(type="u", payload="€ 🌊", headers={"a": "ö"}, name="n", priority=5)
    parts = parts_of(tasks)
    assert parts[1].size == len("3€ 🌊5".encode()) + len('"".{"a":"ö"}'.encode()) - 1
    made = await store.tasks.enqueue_parts(parts)
    read = await store.tasks.get(made[4].id)
    assert read is not None
    assert (read.type, read.payload, read.headers) == ("u", "€ 🌊", {"a": "ö"})
    assert (read.name, read.priority) == ("n", 5)
    others = [await store.tasks.get(each.id) for each in (made[0], made[6])]
    assert [each and (each.payload, each.headers) for each in others] == [(0, None), (6, None)]
    await ledger.balance(store)


async def test_errors_of_a_later_part_name_the_place_in_the_batch_and_nothing_is_stored(
    store: Store,
) -> None:
    await store.tasks.enqueue([NewTask(type="t", payload=1, idempotency_key="k")])
    conflict = [*some(7), NewTask(type="t", payload=2, idempotency_key="k")]
    with pytest.raises(IdempotencyConflict, match=r"^tasks\[7\]\.idempotency_key: "):
        await store.tasks.enqueue_parts(parts_of(conflict))
    await store.db.execute("INSERT INTO tidemill.task_types (name, app) VALUES ('t', 'a')")
    unknown = [*some(5), NewTask(type="unknown")]
    with pytest.raises(UnknownType) as told:
        await store.tasks.enqueue_parts(parts_of(unknown, "reject"))
    assert told.value.faults[0].field == "tasks[5].type"
    assert await storage.count(store.db, "tasks") == 1
    await ledger.balance(store)


async def test_a_queue_counts_the_parts_before(store: Store) -> None:
    await store.queues.put("q", {"max_depth": 7})
    with pytest.raises(QueueFull, match=r"^tasks\[6\]\.queue: "):
        await store.tasks.enqueue_parts(parts_of(some(8, queue="q")))
    assert await storage.count(store.db, "tasks") == 0
    assert len(await store.tasks.enqueue_parts(parts_of(some(7, queue="q")))) == 7


async def test_parts_with_the_same_keys_in_opposite_order_are_one_set_of_tasks(
    store: Store,
) -> None:
    """Each waits for the other: Postgres undoes one, and it is done again."""
    tasks = [NewTask(type="t", payload=n, idempotency_key=f"k{n}") for n in range(30)]

    async def stored(batch: list[NewTask]) -> list[Enqueued]:
        while True:
            try:
                return await store.tasks.enqueue_parts(parts_of(batch))
            except DatabaseUnavailable:
                continue  # waited longer for a lock than it may: nothing is stored

    both = await asyncio.gather(stored(tasks), stored(tasks[::-1]))
    assert [each.id for each in both[0]] == [each.id for each in both[1]][::-1]
    assert sum(each.created for made in both for each in made) == 30
    assert await storage.count(store.db, "tasks") == 30
    await ledger.balance(store)


def test_places_are_moved_and_read() -> None:
    assert moved("tasks[3].payload.to", 1000) == "tasks[1003].payload.to"
    assert moved("queue: tasks[3] is full", 1000) == "queue: tasks[3] is full"
    assert place_of("tasks[12]: must be an object") == 12
    assert place_of("body") is None


def test_a_part_refuses_what_no_task_may_be() -> None:
    with pytest.raises(InvalidTask):
        parts_of([NewTask(type="t", payload="x" * 1000)])
