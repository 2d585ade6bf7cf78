"""`tidemill.enqueue` and `enqueue_many`: what any language can call in its own transaction."""

# ruff: noqa: E501 - a case a line

import json
from typing import Any

import pytest

from tests.support import ledger, storage
from tidemill.db import Database
from tidemill.errors import IdempotencyConflict, InvalidTask
from tidemill.models import TaskType
from tidemill.store import Store

MANY = "SELECT * FROM tidemill.enqueue_many($1::jsonb)"


async def many(db: Database, *tasks: Any) -> list[dict[str, Any]]:
    return [dict(row) for row in await db.fetch(MANY, json.dumps(tasks))]


async def test_a_commit_enqueues_once_and_a_rollback_nothing(store: Store, db: Database) -> None:
    class Undone(Exception):
        pass

    async def enqueue_and_fail() -> None:
        async with db.transaction() as session:
            await session.execute("SELECT tidemill.enqueue('t', '{}', queue => 'undone')")
            raise Undone

    with pytest.raises(Undone):
        await enqueue_and_fail()
    async with db.transaction() as session:
        made = await session.fetchval("""SELECT tidemill.enqueue('t', '{"a": 1}')""")
    task = await store.tasks.get(made)
    assert task is not None
    assert (task.payload, task.queue, task.status) == ({"a": 1}, "default", "queued")
    assert [each.name for each in await store.queues.list()] == ["default"]
    assert (await ledger.balance(store))["queued"] == 1


async def test_every_field_arrives(store: Store, db: Database) -> None:
    made = await db.fetchval(
        "SELECT tidemill.enqueue('t', '[1]', queue => 'q', name => 'n', priority => -5, "
        "run_at => '2100-01-31 12:00+02', max_retries => 0, timeout_seconds => 0.5, "
        """retry => '{"policy": "fixed", "base_seconds": 2}', idempotency_key => 'k', """
        "expires_at => '2101-01-01 00:00+00', headers => '{\"traceparent\": \"x\"}')"
    )
    task = await store.tasks.get(made)
    assert task is not None
    assert (task.payload, task.queue, task.name, task.priority) == ([1], "q", "n", -5)
    assert task.run_at.isoformat() == "2100-01-31T10:00:00+00:00"
    assert (task.max_retries, task.timeout_seconds) == (0, 0.5)
    assert task.retry == {"policy": "fixed", "base_seconds": 2}
    assert (task.idempotency_key, task.headers) == ("k", {"traceparent": "x"})
    assert task.expires_at is not None
    assert task.status == "scheduled"


async def test_many_answers_in_order(db: Database) -> None:
    answers = await many(
        db,
        {"type": "t", "queue": "a", "priority": "high"},
        {"type": "t", "queue": "b", "delay_seconds": 60, "priority": None, "retry": None},
        {"type": "t", "queue": "a", "idempotency_key": "k", "max_retries": 3.0},
        {"type": "t", "queue": "a", "idempotency_key": "k"},
    )
    assert [(each["queue"], each["status"], each["created"]) for each in answers] == [
        ("a", "queued", True),
        ("b", "scheduled", True),
        ("a", "queued", True),
        ("a", "queued", False),
    ]
    assert answers[2]["id"] == answers[3]["id"]
    ranks = "SELECT array_agg(priority ORDER BY id) FROM tidemill.tasks"
    assert await db.fetchval(ranks) == [100, 0, 0]


async def test_no_tasks_are_no_tasks(db: Database) -> None:
    assert await many(db) == []
    assert await storage.count(db, "queues") == 0


BROKEN = [
    ([], "tasks[0]: must be an object (got [])"),
    ({}, "tasks[0].type: must be given (got null)"),
    ({"type": None}, "tasks[0].type: must be a name of at most 200 letters"),
    ({"type": 5}, "tasks[0].type: must be a name of at most 200 letters, digits and _.:/- (got 5)"),
    ({"type": "a b"}, 'tasks[0].type: must be a name of at most 200 letters, digits and _.:/- (got "a b")'),
    ({"type": "t\n"}, "tasks[0].type: must be a name"),
    ({"type": "t", "queue": ""}, "tasks[0].queue: must be a name of at most 63"),
    ({"type": "t", "queue": {"a": 1}}, "tasks[0].queue: must be a name of at most 63"),
    ({"type": "t", "nmae": 1}, "tasks[0].nmae: is not a field of a task (got 1)"),
    ({"type": "t", "nmae": None}, "tasks[0].nmae: is not a field of a task (got null)"),
    ({"type": "t", "name": "n" * 201}, "tasks[0].name: must be 1 to 200 characters"),
    ({"type": "t", "name": 5}, "tasks[0].name: must be 1 to 200 characters (got 5)"),
    ({"type": "t", "priority": "urgent"}, 'tasks[0].priority: must be a whole number from -32768 to 32767, or low, default or high (got "urgent")'),
    ({"type": "t", "priority": 1.5}, "tasks[0].priority: must be a whole number"),
    ({"type": "t", "priority": 32768}, "tasks[0].priority: must be a whole number"),
    ({"type": "t", "run_at": "soon"}, 'tasks[0].run_at: must be an ISO 8601 time with its offset, such as 2030-01-31T12:00:00Z (got "soon")'),
    ({"type": "t", "run_at": "infinity"}, "tasks[0].run_at: must be an ISO 8601 time"),
    ({"type": "t", "run_at": "2030-02-30T12:00:00Z"}, "tasks[0].run_at: must be an ISO 8601 time"),
    ({"type": "t", "run_at": "2030-01-31T12:00:00"}, "tasks[0].run_at: must be an ISO 8601 time"),
    ({"type": "t", "run_at": 5}, "tasks[0].run_at: must be an ISO 8601 time"),
    ({"type": "t", "expires_at": False}, "tasks[0].expires_at: must be an ISO 8601 time"),
    ({"type": "t", "run_at": "2030-01-31T12:00:00Z", "delay_seconds": 1}, "tasks[0].run_at: must not be given together with delay_seconds"),
    ({"type": "t", "delay_seconds": -1}, "tasks[0].delay_seconds: must be 0 to 315360000 (got -1)"),
    ({"type": "t", "delay_seconds": "1"}, 'tasks[0].delay_seconds: must be 0 to 315360000 (got "1")'),
    ({"type": "t", "max_retries": 2.5}, "tasks[0].max_retries: must be a whole number from 0 to 1000 (got 2.5)"),
    ({"type": "t", "max_retries": 1e30}, "tasks[0].max_retries: must be a whole number from 0 to 1000"),
    ({"type": "t", "timeout_seconds": 0}, "tasks[0].timeout_seconds: must be 0.001 to 604800 (got 0)"),
    ({"type": "t", "idempotency_key": ""}, "tasks[0].idempotency_key: must be 1 to 255 characters"),
    ({"type": "t", "idempotency_ttl_seconds": 0}, "tasks[0].idempotency_ttl_seconds: must be 1 to 31536000"),
    ({"type": "t", "headers": {"a": 1}}, "tasks[0].headers: must be an object of strings"),
    ({"type": "t", "headers": "a"}, "tasks[0].headers: must be an object of strings"),
    ({"type": "t", "retry": "fixed"}, 'tasks[0].retry: must be an object (got "fixed")'),
    ({"type": "t", "retry": {"policy": "magic"}}, 'tasks[0].retry.policy: must be exponential, fixed or list (got "magic")'),
    ({"type": "t", "retry": {"polcy": 1}}, "tasks[0].retry.polcy: is not a field of a retry policy"),
    ({"type": "t", "retry": {"factor": 0.5}}, "tasks[0].retry.factor: must be 1 to 100 (got 0.5)"),
    ({"type": "t", "retry": {"base_seconds": "1"}}, "tasks[0].retry.base_seconds: must be more than 0"),
    ({"type": "t", "retry": {"policy": "list"}}, "tasks[0].retry.delays_seconds: must be given for the policy list"),
    ({"type": "t", "retry": {"delays_seconds": [1]}}, "tasks[0].retry.delays_seconds: must be given for the policy list"),
    ({"type": "t", "retry": {"policy": "list", "delays_seconds": [1, "x"]}}, "tasks[0].retry.delays_seconds: must be numbers from 0"),
    ({"type": "t", "retry": {"policy": "list", "delays_seconds": 5}}, "tasks[0].retry.delays_seconds: must be an array"),
]  # fmt: skip


@pytest.mark.parametrize(("task", "message"), BROKEN, ids=[message for _, message in BROKEN])
async def test_a_broken_rule_names_field_rule_and_value(
    db: Database, task: Any, message: str
) -> None:
    with pytest.raises(InvalidTask) as caught:
        await many(db, task)
    assert str(caught.value).startswith(message)
    with pytest.raises(InvalidTask, match=r"^tasks\[1\]"):
        await many(db, {"type": "t"}, task)
    assert await storage.count(db, "tasks") == 0


@pytest.mark.parametrize("given", ["null", "{}", '"t"'])
async def test_what_is_no_array_is_refused(db: Database, given: str) -> None:
    with pytest.raises(InvalidTask, match="tasks: must be a JSON array of objects"):
        await db.fetch(MANY, given)
    with pytest.raises(InvalidTask, match="tasks: must be a JSON array of objects"):
        await db.fetch(MANY, None)


@pytest.mark.parametrize(
    ("call", "field"),
    [
        ("tidemill.enqueue(NULL)", "tasks[0].type"),
        ("tidemill.enqueue('t', delay_seconds => 'nan')", "tasks[0].delay_seconds"),
        ("tidemill.enqueue('t', run_at => 'infinity')", "tasks[0].run_at"),
        ("tidemill.enqueue('t', priority => 40000)", "tasks[0].priority"),
        ("tidemill.enqueue('t', retry => '{\"policy\": null}')", "tasks[0].retry.policy"),
    ],
)
async def test_enqueue_of_one_checks_the_same(db: Database, call: str, field: str) -> None:
    with pytest.raises(InvalidTask) as caught:
        await db.execute(f"SELECT {call}")
    assert caught.value.faults[0].field == field


async def test_keys_and_registered_types_hold_in_sql_too(store: Store, db: Database) -> None:
    await store.types.register([TaskType(name="typed", queue="of_type")], app="a:b")
    first = await db.fetchval("SELECT tidemill.enqueue('typed', idempotency_key => 'k')")
    again = await db.fetchval("SELECT tidemill.enqueue('typed', NULL, idempotency_key => 'k')")
    assert first == again
    task = await store.tasks.get(first)
    assert task is not None
    assert task.queue == "of_type"
    with pytest.raises(IdempotencyConflict):
        await db.execute("SELECT tidemill.enqueue('typed', '[]', idempotency_key => 'k')")


async def test_a_task_of_the_same_transaction_is_found_by_its_key(db: Database) -> None:
    async with db.transaction() as session:
        one = await session.fetchrow(MANY, '[{"type": "t", "idempotency_key": "k"}]')
        two = await session.fetchrow(MANY, '[{"type": "t", "idempotency_key": "k"}]')
    assert one is not None
    assert two is not None
    assert (one["id"], two["status"], two["created"]) == (two["id"], "queued", False)
