"""Acts by filter: what matches, in batches, counted, and nothing else."""

import asyncio

import pytest

from tests.support import ledger, storage
from tidemill.acts import Reach, TaskFilter
from tidemill.models import NewTask
from tidemill.states import Outcome, Status
from tidemill.store import Store


async def test_a_dry_run_counts_and_changes_nothing(store: Store) -> None:
    await storage.enqueue(store, 3)
    bulk = await store.bulk.cancel(TaskFilter(), Reach(dry_run=True))
    assert (bulk.matched, bulk.changed, bulk.next) == (3, 0, None)
    assert (await ledger.balance(store))["queued"] == 3


@pytest.mark.parametrize(
    ("tasks", "matched"),
    [
        (TaskFilter(), 6),
        (TaskFilter(queue="other"), 1),
        (TaskFilter(queue="none"), 0),
        (TaskFilter(type="u"), 2),
        (TaskFilter(priority=5), 1),
        (TaskFilter(status=Status.SCHEDULED), 1),
        (TaskFilter(status=Status.RUNNING), 1),
        (TaskFilter(type="u", status=Status.QUEUED, queue="default"), 2),
        (TaskFilter(status=Status.SUCCEEDED), 0),
    ],
)
async def test_every_field_of_a_filter_must_match(
    store: Store, tasks: TaskFilter, matched: int
) -> None:
    await storage.enqueue(store)
    await storage.claim(store, await storage.worker(store), 1)
    await store.tasks.enqueue(
        [
            NewTask(type="u"),
            NewTask(type="u"),
            NewTask(type="t", queue="other"),
            NewTask(type="t", priority=5),
            NewTask(type="t", delay_seconds=60),
        ]
    )
    assert (await store.bulk.cancel(tasks, Reach(dry_run=True))).matched == matched
    bulk = await store.bulk.cancel(tasks)
    assert bulk.changed + bulk.requested == matched


async def test_filters_by_time_include_the_first_moment_and_not_the_last(store: Store) -> None:
    (first,) = await storage.enqueue(store)
    await asyncio.sleep(0.002)
    (second,) = await storage.enqueue(store)
    since = TaskFilter(created_after=first.created_at, created_before=second.created_at)
    bulk = await store.bulk.cancel(since)
    assert bulk.changed == 1
    assert (await store.acts.cancel([first.id]))[first.id].status is Status.CANCELLED


async def test_dead_letters_are_found_by_their_error_and_replayed_once(store: Store) -> None:
    await storage.enqueue(store, 4)
    tasks = await storage.claim(store, await storage.worker(store))
    for half, name in ((tasks[:3], "KeyError"), (tasks[3:], "ValueError")):
        await store.leases.finish(storage.ends(half, Outcome.FAILED, error={"type": name}))
    bulk = await store.bulk.retry(TaskFilter(error_type="KeyError"))
    assert (bulk.changed, bulk.queues) == (3, frozenset({"default"}))
    assert (await store.bulk.retry(TaskFilter(error_type="KeyError"))).matched == 0
    purged = await store.bulk.delete(TaskFilter(status=Status.FAILED))
    assert purged.changed == 1
    assert (await store.stats.stats()).counts.total_tasks == 3


async def test_a_long_act_stops_at_its_limit_and_goes_on_where_it_was(store: Store) -> None:
    await storage.enqueue(store, 2500)
    first = await store.bulk.reprioritise(TaskFilter(), 9, Reach(limit=1200))
    assert (first.matched, first.changed) == (1200, 1200)
    rest = await store.bulk.reprioritise(TaskFilter(), 9, Reach(after=first.next))
    assert (rest.changed, rest.next) == (1300, None)
    claimed = await storage.claim(store, await storage.worker(store), 3000)
    assert [task.priority for task in claimed] == [9] * 2500


async def test_keys_that_others_hold_are_skipped_and_counted(store: Store) -> None:
    await store.tasks.enqueue(
        [NewTask(type="t", idempotency_key=key, queue="a") for key in ("k", "l")]
    )
    await store.tasks.enqueue([NewTask(type="t", idempotency_key="k", queue="b")])
    bulk = await store.bulk.move(TaskFilter(queue="a"), "b")
    assert (bulk.matched, bulk.changed, bulk.key_taken) == (2, 1, 1)
    assert (await ledger.balance(store))["queued"] == 3
