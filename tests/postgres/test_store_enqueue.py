"""Enqueue: defaults, times, all or nothing, queues on first use."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tests.support import ledger, storage
from tidemill.db import Database
from tidemill.errors import InvalidTask, UnknownType
from tidemill.models import NewTask, TaskType
from tidemill.retry import RetryPolicy
from tidemill.states import Outcome, Status
from tidemill.store import Store
from tidemill.store.queues import Owner, QueueSettings

OWNER = Owner("uid", "ns/q")


async def test_a_plain_task_takes_the_systems_defaults(store: Store) -> None:
    (made,) = await store.tasks.enqueue([NewTask(type="t", payload={"a": [1, None, "é"]})])
    task = await store.tasks.get(made.id)
    assert task is not None
    assert (made.created, made.status, made.queue) == (True, Status.QUEUED, "default")
    assert (task.priority, task.max_retries, task.timeout_seconds, task.retry) == (0, 3, 300, None)
    assert (task.payload, task.headers, task.status) == ({"a": [1, None, "é"]}, None, "queued")
    assert task.run_at == task.created_at == made.created_at == made.run_at
    assert (task.id.version, task.id.variant) == (7, "specified in RFC 4122")


async def test_precedence_is_task_then_type_then_queue(store: Store) -> None:
    listed = RetryPolicy(policy="list", delays_seconds=(5, 6))
    fixed = RetryPolicy(policy="fixed", base_seconds=9)
    await store.queues.configure(
        "slow", QueueSettings(max_retries=7, timeout_seconds=70, retry=fixed), OWNER
    )
    await store.types.register(
        [
            TaskType(name="of_type", queue="slow", priority=5, max_retries=8, retry=listed),
            TaskType(name="bare", queue="slow"),
        ],
        app="a:b",
    )
    own = NewTask(type="of_type", queue="other", priority=-1, max_retries=0, timeout_seconds=1.5)
    by_task, by_type, by_queue = await store.tasks.enqueue(
        [own, NewTask(type="of_type"), NewTask(type="bare")]
    )
    assert (by_task.queue, by_task.priority, by_task.max_retries, by_task.timeout_seconds) == (
        "other",
        -1,
        0,
        1.5,
    )
    assert (by_type.queue, by_type.priority, by_type.max_retries, by_type.timeout_seconds) == (
        "slow",
        5,
        8,
        70,
    )
    assert (by_queue.queue, by_queue.priority, by_queue.max_retries) == ("slow", 0, 7)
    assert by_type.retry == by_task.retry == listed.to_json()
    assert by_queue.retry == fixed.to_json()


async def test_times_decide_between_now_and_later(store: Store) -> None:
    now = datetime.now(UTC)
    past, soon, delayed, at_once = await store.tasks.enqueue(
        [
            NewTask(type="t", run_at=now - timedelta(days=1)),
            NewTask(type="t", run_at=now + timedelta(hours=1)),
            NewTask(type="t", delay_seconds=3600),
            NewTask(type="t", delay_seconds=0),
        ]
    )
    assert [each.status for each in (past, soon, delayed, at_once)] == [
        Status.QUEUED,
        Status.SCHEDULED,
        Status.SCHEDULED,
        Status.QUEUED,
    ]
    assert soon.run_at == now + timedelta(hours=1)
    assert delayed.run_at == delayed.created_at + timedelta(hours=1)
    assert await ledger.balance(store) == {
        "queued": 2,
        "scheduled": 2,
        "running": 0,
        "succeeded": 0,
        "failed": 0,
        "cancelled": 0,
    }


async def test_answers_and_places_keep_the_order_given(store: Store, db: Database) -> None:
    tasks = [NewTask(type="t", payload=n, queue=f"q{n % 3}") for n in range(300)]
    made = await store.tasks.enqueue(tasks)
    rows = await db.fetch(
        "SELECT t.payload::text AS payload, t.id FROM tidemill.ready r "
        "JOIN tidemill.tasks t ON t.id = r.task_id ORDER BY r.seq"
    )
    assert [int(row["payload"]) for row in rows] == list(range(300))
    assert [row["id"] for row in rows] == [each.id for each in made]
    assert [each.queue for each in made] == [task.queue for task in tasks]
    assert sorted(each.id for each in made) == [each.id for each in made]


async def test_one_bad_task_refuses_the_whole_batch(store: Store, db: Database) -> None:
    bad = NewTask(type="bad type", priority=99999, queue="q\n", name="\0")
    with pytest.raises(InvalidTask) as caught:
        await store.tasks.enqueue([NewTask(type="t"), bad])
    assert {fault.field for fault in caught.value.faults} == {
        "tasks[1].type",
        "tasks[1].priority",
        "tasks[1].queue",
        "tasks[1].name",
    }
    assert await storage.count(db, "tasks") == await storage.count(db, "queues") == 0


async def test_unknown_types_are_rejected_where_the_deployment_or_queue_says(
    store: Store, db: Database
) -> None:
    await store.types.register([TaskType(name="known", queue="strict")], app="a:b")
    batch = [NewTask(type="known"), NewTask(type="unknown")]
    with pytest.raises(UnknownType, match=r"tasks\[1\]\.type: 'unknown' is not a registered"):
        await store.tasks.enqueue(batch, unknown_types="reject")
    assert await storage.count(db, "tasks") == 0
    await store.tasks.enqueue(batch)
    await db.execute("UPDATE tidemill.queues SET unknown_types = 'reject'")
    with pytest.raises(UnknownType):
        await store.tasks.enqueue([NewTask(type="unknown", queue="strict")])
    await store.tasks.enqueue([NewTask(type="known")])
    await db.execute("UPDATE tidemill.queues SET unknown_types = 'accept'")
    await store.tasks.enqueue([NewTask(type="unknown", queue="strict")], unknown_types="reject")


async def test_a_types_new_queue_during_an_enqueue_loses_nothing(
    store: Store, db: Database
) -> None:
    """The type gets another default queue while an enqueue waits for its queue's creation."""
    await store.types.register([TaskType(name="moved", queue="first")], app="a:b")
    async with db.transaction() as holding:
        await holding.execute("INSERT INTO tidemill.queues (name) VALUES ('first')")
        waiting = asyncio.create_task(store.tasks.enqueue([NewTask(type="moved")] * 3))
        await storage.until_blocked(db)
        await store.types.register([TaskType(name="moved", queue="second")], app="a:b")
    made = await waiting
    assert [each.queue for each in made] == ["first"] * 3
    assert await storage.count(db, "ready") == 3


async def test_many_producers_of_new_queues_neither_deadlock_nor_lose(store: Store) -> None:
    names = [f"q{n}" for n in range(40)]

    async def produce(turn: int) -> None:
        order = names[turn:] + names[:turn]
        for at in range(0, 40, 10):
            batch = [NewTask(type="t", queue=name) for name in order[at : at + 10]]
            await store.tasks.enqueue(batch if turn % 2 else batch[::-1])

    await asyncio.gather(*(produce(turn) for turn in range(16)))
    assert (await ledger.balance(store))["queued"] == 16 * 40
    assert sorted(each.name for each in await store.queues.list()) == sorted(names)


async def test_the_largest_batch_is_one_statement(store: Store, db: Database) -> None:
    made = await store.tasks.enqueue([NewTask(type="t", payload={"n": n}) for n in range(10_000)])
    assert len({each.id for each in made}) == 10_000
    assert await storage.count(db, "throughput_deltas") == 1
    assert (await store.stats.stats()).counts.queued_tasks == 10_000


async def test_an_open_enqueue_holds_nobody_up(store: Store, db: Database) -> None:
    await storage.enqueue(store)
    async with db.transaction() as open_one:
        await open_one.execute("SELECT tidemill.enqueue('t')")
        identity = await storage.worker(store)
        await storage.enqueue(store, 5)
        claimed = await storage.claim(store, identity)
        await store.leases.finish(storage.ends(claimed, Outcome.SUCCEEDED))
        assert await store.upkeep.fold(1000) == 4
        assert len(claimed) == 6
    assert await ledger.balance(store) == {
        "queued": 1,
        "scheduled": 0,
        "running": 0,
        "succeeded": 6,
        "failed": 0,
        "cancelled": 0,
    }
