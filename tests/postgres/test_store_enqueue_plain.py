"""Plain tasks take a short way through `enqueue_rows`: it stores what the long one does."""

import json
import random
from typing import Any

import pytest

from tidemill import sql
from tidemill.db import Database
from tidemill.errors import QueueFull, UnknownType
from tidemill.models import NewTask, TaskType
from tidemill.retry import RetryPolicy
from tidemill.store import Store
from tidemill.store.queues import Owner, QueueSettings

OWNER = Owner("uid", "ns/q")
UNLIKE = frozenset({"id", "created_at", "run_at"})
ARRAYS = 14
NAMES = 3  # the place of the tasks' names, of which no array is given for plain tasks
DRAWN = random.Random(6)
TYPES = ("bare", "placed", "full", "of_nobody")
QUEUES = (None, "mails", "slow", "made_by_this")

STORED = """
    SELECT t.type, q.name AS queue, t.name, t.priority, t.max_retries, t.timeout_seconds,
           t.retry::text AS retry, t.payload::text AS payload, t.headers::text AS headers,
           t.run_at, t.expires_at, t.idempotency_key,
           r.queue_id = t.queue_id AS ready, r.priority AS ready_priority, r.lane,
           r.ready_at = t.created_at AS at_once
      FROM tidemill.tasks t
      JOIN tidemill.queues q ON q.id = t.queue_id
      LEFT JOIN tidemill.ready r ON r.task_id = t.id
     WHERE t.id = ANY ($1) ORDER BY t.id
"""
COUNTED = """
    SELECT q.name, d.enqueued, d.d_queued, d.d_scheduled
      FROM tidemill.throughput_deltas d JOIN tidemill.queues q ON q.id = d.queue_id ORDER BY d.id
"""


async def prepare(store: Store) -> None:
    retry = RetryPolicy(policy="fixed", base_seconds=9)
    await store.queues.configure(
        "slow", QueueSettings(max_retries=7, timeout_seconds=70, retry=retry), OWNER
    )
    await store.types.register(
        [
            TaskType(name="bare"),
            TaskType(name="placed", queue="slow"),
            TaskType(name="full", queue="mails", priority=5, max_retries=1, timeout_seconds=2),
        ],
        app="a:b",
    )


def arguments(kind: str, queue: str | None, payloads: list[str], *, named: bool) -> list[Any]:
    count = len(payloads)
    given: list[Any] = [None] * ARRAYS
    given[0], given[1] = [kind] * count, payloads
    given[2] = None if queue is None else [queue] * count
    if named:  # names, none of which is given: nothing but the way through changes
        given[NAMES] = [None] * count
    return [*given, "accept", True]


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("queue", QUEUES)
async def test_both_ways_store_the_same(
    store: Store, db: Database, kind: str, queue: str | None
) -> None:
    await prepare(store)
    payloads = [json.dumps({"n": n, "x": "é" * DRAWN.randrange(9)}) for n in range(7)]
    told: list[list[dict[str, Any]]] = []
    stored: list[list[dict[str, Any]]] = []
    for named in (True, False, True, False):  # the queue is new for the first
        rows = await db.fetch(sql.load("enqueue"), *arguments(kind, queue, payloads, named=named))
        ids = [row["id"] for row in rows]
        assert ids == sorted(ids)
        assert all(row["created_at"] == row["run_at"] for row in rows)
        told.append([{k: v for k, v in dict(row).items() if k not in UNLIKE} for row in rows])
        stored.append([dict(row) for row in await db.fetch(STORED, ids)])
    assert told[0] == told[1] == told[2] == told[3]
    assert stored[0] == stored[1] == stored[2] == stored[3]
    assert [each["payload"] for each in stored[0]] == payloads
    counted = [tuple(row) for row in await db.fetch(COUNTED)]
    assert counted == [(told[0][0]["queue"], 7, 7, 0)] * 4


async def test_a_queue_with_a_limit_is_full_on_both_ways(store: Store, db: Database) -> None:
    await store.tasks.enqueue([NewTask(type="t", queue="mails")] * 2)
    await db.execute("UPDATE tidemill.queues SET max_depth = 3 WHERE name = 'mails'")
    for name in (None, "x"):
        with pytest.raises(QueueFull, match="mails"):
            await store.tasks.enqueue([NewTask(type="t", queue="mails", name=name)] * 2)


async def test_an_unknown_type_is_refused_on_both_ways(store: Store) -> None:
    await prepare(store)
    for name in (None, "x"):
        with pytest.raises(UnknownType, match="nobodys"):
            await store.tasks.enqueue(
                [NewTask(type="nobodys", queue="slow", name=name)], unknown_types="reject"
            )
