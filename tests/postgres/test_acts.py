"""Acts on tasks by id: each finds the task wherever it is, and the books balance afterwards."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.support import ledger, storage
from tidemill.acts import Act, Verdict
from tidemill.errors import IdempotencyConflict
from tidemill.models import NewTask
from tidemill.states import Outcome, Status
from tidemill.store import Store


async def failed(store: Store, **fields: Any) -> list[UUID]:
    """Return the ids of tasks that have failed for good."""
    await store.tasks.enqueue([NewTask(type="t", **fields)])
    worker = await storage.worker(store)
    tasks = await storage.claim(store, worker, 10)
    await store.leases.finish(storage.ends(tasks, Outcome.FAILED))
    return [task.id for task in tasks]


async def test_waiting_tasks_are_cancelled_at_once_and_a_running_ones_worker_is_asked(
    store: Store,
) -> None:
    made = await store.tasks.enqueue(
        [NewTask(type="t"), NewTask(type="t"), NewTask(type="t", delay_seconds=60)]
    )
    running = (await storage.claim(store, await storage.worker(store), 1))[0]
    other = uuid4()
    answers = await store.acts.cancel([*(each.id for each in made), other], actor="ann")
    queued = next(each.id for each in made[:2] if each.id != running.id)
    assert answers == {
        running.id: Act(Verdict.REQUESTED, Status.RUNNING, "default"),
        queued: Act(Verdict.DONE, Status.CANCELLED, "default"),
        made[2].id: Act(Verdict.DONE, Status.CANCELLED, "default"),
        other: Act(Verdict.MISSING),
    }
    counts = await ledger.balance(store)
    assert (counts["cancelled"], counts["running"]) == (2, 1)
    history = await store.tasks.history(queued)
    assert [(each.event_type, each.actor) for each in history][-1] == ("task_cancelled", "ann")


async def test_cancelling_what_has_ended_is_refused_with_its_status(store: Store) -> None:
    (task,) = await failed(store)
    assert await store.acts.cancel([task]) == {task: Act(Verdict.REFUSED, Status.FAILED, "default")}


@pytest.mark.parametrize("outcome", [Outcome.RETRY, Outcome.SNOOZED, Outcome.RELEASED])
async def test_a_task_asked_to_cancel_runs_no_more_whatever_its_worker_makes_of_it(
    store: Store, outcome: Outcome
) -> None:
    await store.tasks.enqueue([NewTask(type="t")])
    tasks = await storage.claim(store, await storage.worker(store), 1)
    await store.acts.cancel([tasks[0].id])
    await store.leases.finish(storage.ends(tasks, outcome, delay_seconds=5))
    assert (await ledger.balance(store))["cancelled"] == 1


async def test_a_completion_that_comes_first_wins(store: Store) -> None:
    await store.tasks.enqueue([NewTask(type="t")])
    tasks = await storage.claim(store, await storage.worker(store), 1)
    await store.acts.cancel([tasks[0].id])
    await store.leases.finish(storage.ends(tasks, Outcome.SUCCEEDED))
    assert (await ledger.balance(store))["succeeded"] == 1


async def test_a_failed_task_is_replayed_as_if_it_were_new(store: Store) -> None:
    (task,) = await failed(store)
    assert await store.acts.retry([task]) == {task: Act(Verdict.DONE, Status.QUEUED, "default")}
    assert (await ledger.balance(store))["queued"] == 1
    again = await storage.claim(store, await storage.worker(store), 1)
    assert (again[0].id, again[0].retry_count, again[0].crash_count) == (task, 0, 0)


async def test_a_scheduled_task_runs_now_with_the_counts_it_has(store: Store) -> None:
    await store.tasks.enqueue([NewTask(type="t")])
    worker = await storage.worker(store)
    tasks = await storage.claim(store, worker, 1)
    await store.leases.finish(storage.ends(tasks, Outcome.RETRY, delay_seconds=500))
    assert (await store.acts.retry([tasks[0].id]))[tasks[0].id].verdict is Verdict.DONE
    assert (await storage.claim(store, worker, 1))[0].retry_count == 1
    assert (await ledger.balance(store))["running"] == 1


async def test_retrying_what_is_queued_is_refused(store: Store) -> None:
    (made,) = await store.tasks.enqueue([NewTask(type="t")])
    assert (await store.acts.retry([made.id]))[made.id] == Act(
        Verdict.REFUSED, Status.QUEUED, "default"
    )


async def test_replay_takes_the_key_back(store: Store) -> None:
    (task,) = await failed(store, idempotency_key="k", payload={"a": 1})
    assert (await store.acts.retry([task]))[task].verdict is Verdict.DONE
    (known,) = await store.tasks.enqueue([NewTask(type="t", idempotency_key="k", payload={"a": 1})])
    assert (known.id, known.created) == (task, False)
    with pytest.raises(IdempotencyConflict):
        await store.tasks.enqueue([NewTask(type="t", idempotency_key="k", payload={"a": 2})])


async def test_replay_is_refused_where_another_task_holds_the_key(store: Store) -> None:
    (task,) = await failed(store, idempotency_key="k")
    await store.tasks.enqueue([NewTask(type="t", idempotency_key="k")])
    assert (await store.acts.retry([task]))[task] == Act(
        Verdict.KEY_TAKEN, Status.FAILED, "default"
    )
    assert (await ledger.balance(store))["failed"] == 1


async def test_of_two_dead_letters_with_one_key_one_is_replayed(store: Store) -> None:
    tasks = [*await failed(store, idempotency_key="k"), *await failed(store, idempotency_key="k")]
    answers = await store.acts.retry(tasks)
    assert sorted(each.verdict for each in answers.values()) == [Verdict.DONE, Verdict.KEY_TAKEN]


async def test_deleting_removes_a_task_from_wherever_it_is(store: Store) -> None:
    await failed(store)
    await store.tasks.enqueue([NewTask(type="t", idempotency_key="k")])
    done = await storage.claim(store, await storage.worker(store), 1)
    await store.leases.finish(storage.ends(done, Outcome.SUCCEEDED))
    await store.tasks.enqueue([NewTask(type="t"), NewTask(type="t", delay_seconds=60)])
    rows = await store.db.fetch("SELECT id, status FROM tidemill.task_status")
    answers = await store.acts.delete([row["id"] for row in rows])
    assert {each: act.status for each, act in answers.items()} == {
        row["id"]: row["status"] for row in rows
    }
    assert (await store.stats.stats()).counts.total_tasks == 0
    left = await store.db.fetchrow(
        """SELECT (SELECT count(*) FROM tidemill.tasks) AS tasks,
                  (SELECT count(*) FROM tidemill.attempts) AS attempts,
                  (SELECT count(*) FROM tidemill.dead_letters) AS dead_letters,
                  (SELECT count(*) FROM tidemill.idempotency_keys) AS keys"""
    )
    assert left is not None
    assert set(left.values()) == {0}


async def test_a_running_task_is_not_deleted(store: Store) -> None:
    await store.tasks.enqueue([NewTask(type="t")])
    tasks = await storage.claim(store, await storage.worker(store), 1)
    assert await store.acts.delete([tasks[0].id]) == {
        tasks[0].id: Act(Verdict.REFUSED, Status.RUNNING, "default")
    }


async def test_only_waiting_tasks_change_priority(store: Store) -> None:
    low, _ = await store.tasks.enqueue([NewTask(type="t"), NewTask(type="t")])
    worker = await storage.worker(store)
    later = (await store.tasks.enqueue([NewTask(type="t", delay_seconds=60)]))[0]
    await store.acts.reprioritise([low.id, later.id], 5, actor="ann")
    claimed = await storage.claim(store, worker, 1)
    assert (claimed[0].id, claimed[0].priority) == (low.id, 5)
    answers = await store.acts.reprioritise([low.id], 6)
    assert answers[low.id] == Act(Verdict.REFUSED, Status.RUNNING, "default")
    task = await store.tasks.get(later.id)
    assert task is not None
    assert task.priority == 5


async def test_a_moved_task_takes_its_key_along(store: Store) -> None:
    (made,) = await store.tasks.enqueue([NewTask(type="t", idempotency_key="k")])
    assert await store.acts.move([made.id], "other") == {
        made.id: Act(Verdict.DONE, Status.QUEUED, "other")
    }
    again = await store.tasks.enqueue(
        [
            NewTask(type="t", idempotency_key="k", queue="other"),
            NewTask(type="t", idempotency_key="k"),
        ]
    )
    assert [each.created for each in again] == [False, True]
    answers = await store.acts.move([again[1].id], "other")
    assert answers[again[1].id] == Act(Verdict.KEY_TAKEN, Status.QUEUED, "default")
    stats = {each.queue: each.counts.queued_tasks for each in (await store.stats.stats()).queues}
    assert stats == {"default": 1, "other": 1}
