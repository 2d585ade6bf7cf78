"""A task's history on every path, and reads that meet a change."""

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from tests.support import storage
from tidemill.db import Database, Session
from tidemill.models import ClaimedTask, Finish, WorkerIdentity
from tidemill.states import Outcome
from tidemill.store import Store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

BORN = [("task_queued", "queued")]
STARTED = ("task_started", "running")


async def told(store: Store, task_id: Any) -> list[tuple[str, str]]:
    return [(each.event_type, each.status) for each in await store.tasks.history(task_id)]


async def run(store: Store, worker: WorkerIdentity, outcome: Outcome, **said: Any) -> ClaimedTask:
    (task,) = await storage.claim(store, worker)
    end = Finish(lease=task.lease, outcome=outcome, **({"run_seconds": 0.001} | said))
    assert await store.leases.finish([end]) == {task.lease}
    return task


@pytest.mark.parametrize(
    ("outcome", "event", "status"),
    [
        (Outcome.SUCCEEDED, "task_succeeded", "succeeded"),
        (Outcome.RETRY, "retry_scheduled", "scheduled"),
        (Outcome.FAILED, "task_failed", "failed"),
        (Outcome.CANCELLED, "task_cancelled", "cancelled"),
        (Outcome.SNOOZED, "task_snoozed", "scheduled"),
        (Outcome.RELEASED, "task_released", "queued"),
    ],
)
async def test_each_end_is_told(store: Store, outcome: Outcome, event: str, status: str) -> None:
    worker = await storage.worker(store)
    (made,) = await storage.enqueue(store)
    assert await told(store, made.id) == BORN
    await run(store, worker, outcome, delay_seconds=9.0, error={"type": "E", "message": "m"})
    assert await told(store, made.id) == [*BORN, STARTED, (event, status)]
    last = (await store.tasks.history(made.id))[-1]
    assert (last.worker_id, last.attempt, last.error) == (
        worker.id,
        1,
        {"type": "E", "message": "m"},
    )
    assert (last.run_at is not None) == (status == "scheduled")


async def test_a_long_life(store: Store, db: Database) -> None:
    worker = await storage.worker(store)
    (made,) = await storage.enqueue(store, max_retries=5)
    await run(store, worker, Outcome.RETRY, delay_seconds=0.0)
    await store.upkeep.promote(10)
    await run(store, worker, Outcome.RELEASED, run_seconds=0.0)
    await storage.claim(store, worker)
    await storage.expire_leases(db)
    await store.upkeep.recover(10, 5)
    (running,) = await storage.claim(store, worker)
    events = await store.tasks.history(made.id)
    assert [(each.event_type, each.attempt) for each in events] == [
        ("task_queued", None),
        ("task_started", 1),
        ("retry_scheduled", 1),
        ("task_released", 2),
        ("task_started", 2),
        ("lease_expired", 2),
        ("task_started", 3),
    ]
    assert [each.created_at for each in events] == sorted(each.created_at for each in events)
    await store.leases.finish(
        [Finish(lease=running.lease, outcome=Outcome.SUCCEEDED, run_seconds=0.001)]
    )
    assert (await told(store, made.id))[-2:] == [STARTED, ("task_succeeded", "succeeded")]


async def test_a_delayed_task_was_scheduled_first(store: Store) -> None:
    (made,) = await storage.enqueue(store, delay_seconds=60)
    (event,) = await store.tasks.history(made.id)
    assert (event.event_type, event.status, event.run_at) == (
        "task_scheduled",
        "scheduled",
        made.run_at,
    )


async def test_a_dead_letter_by_crashes_tells_of_the_lease_first(
    store: Store, db: Database
) -> None:
    worker = await storage.worker(store)
    (made,) = await storage.enqueue(store, max_retries=0)
    await storage.claim(store, worker)
    await storage.expire_leases(db)
    await store.upkeep.recover(10, 3)
    assert await told(store, made.id) == [
        *BORN,
        STARTED,
        ("lease_expired", "running"),
        ("task_failed", "failed"),
    ]


async def test_an_unknown_task_has_no_history(store: Store) -> None:
    assert await store.tasks.history(uuid4()) == []
    assert await store.tasks.get(uuid4()) is None


async def test_history_is_of_one_moment(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The task ends between the two reads: the story must not start it again after its end."""
    worker = await storage.worker(store)
    (made,) = await storage.enqueue(store)
    (task,) = await storage.claim(store, worker)
    plain: Callable[..., Awaitable[Any]] = Session.fetchrow

    async def fetchrow(session: Session, statement: str, *args: Any) -> Any:
        row = await plain(session, statement, *args)
        monkeypatch.setattr(Session, "fetchrow", plain)
        await store.leases.finish(
            [Finish(lease=task.lease, outcome=Outcome.SUCCEEDED, run_seconds=0.001)]
        )
        return row

    monkeypatch.setattr(Session, "fetchrow", fetchrow)
    assert await told(store, made.id) == [*BORN, STARTED]
    assert await told(store, made.id) == [*BORN, STARTED, ("task_succeeded", "succeeded")]
