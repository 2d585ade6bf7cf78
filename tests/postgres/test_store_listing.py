"""Lists of tasks and workers: what is in them, in which order, and how much a page reads."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.support import storage
from tidemill.models import NewTask
from tidemill.states import Outcome, Status
from tidemill.store import Store, listing
from tidemill.store.listing import Page, Wanted


async def pages(store: Store, wanted: Wanted, *, limit: int = 100) -> list[Page]:
    """Return all pages of a list."""
    found = [await store.listing.tasks(wanted, limit=limit)]
    while found[-1].next is not None:
        found.append(await store.listing.tasks(wanted, limit=limit, before=found[-1].next))
    return found


async def listed(store: Store, *, limit: int = 100, **wanted: Any) -> list[UUID]:
    return [
        task.id for page in await pages(store, Wanted(**wanted), limit=limit) for task in page.tasks
    ]


async def one_of_each(store: Store) -> dict[Status, UUID]:
    """Return a task for each status, in order of their ids."""
    made: dict[Status, UUID] = {}
    worker = await storage.worker(store)
    for status, outcome in (
        (Status.SUCCEEDED, Outcome.SUCCEEDED),
        (Status.FAILED, Outcome.FAILED),
        (Status.CANCELLED, Outcome.CANCELLED),
    ):
        await storage.enqueue(store)
        tasks = await storage.claim(store, worker)
        error = {"type": "ValueError", "message": "no"} if outcome is Outcome.FAILED else None
        await store.leases.finish(storage.ends(tasks, outcome, error=error))
        made[status] = tasks[0].id
    await storage.enqueue(store)
    made[Status.RUNNING] = (await storage.claim(store, worker))[0].id
    made[Status.QUEUED] = (await storage.enqueue(store))[0].id
    made[Status.SCHEDULED] = (await storage.enqueue(store, delay_seconds=60))[0].id
    return made


async def test_each_status_lists_its_tasks_as_they_are(store: Store) -> None:
    made = await one_of_each(store)
    assert await listed(store) == sorted(made.values(), reverse=True)
    for status, task_id in made.items():
        (page,) = await pages(store, Wanted(status=status))
        (task,) = page.tasks
        whole = await store.tasks.get(task_id)
        assert whole
        assert whole.status is status
        for name in listing.ListedTask.__slots__:
            assert getattr(task, name) == getattr(whole, name), name


async def test_pages_hold_every_task_once_newest_first(store: Store) -> None:
    made = [each.id for each in await storage.enqueue(store, 25)]
    for limit in (1, 7, 25, 26):
        assert await listed(store, limit=limit) == sorted(made, reverse=True)
    assert await listed(store, limit=7, status=Status.QUEUED) == sorted(made, reverse=True)
    (page, *_) = await pages(store, Wanted(), limit=7)
    assert len(page.tasks) == 7


async def test_filters_hold_together(store: Store) -> None:
    tasks = [
        NewTask(type=kind, queue=queue, name=name)
        for kind in ("a", "b")
        for queue in ("p", "q")
        for name in ("x", None)
    ]
    made = await store.tasks.enqueue(tasks)
    wanted = [
        m.id
        for m, t in zip(made, tasks, strict=True)
        if (t.type, t.queue, t.name) == ("b", "q", "x")
    ]
    assert await listed(store, type="b", queue="q", name="x") == wanted
    assert await listed(store, type="b", queue="q", name="x", status=Status.QUEUED) == wanted
    assert len(await listed(store, queue="p")) == 4
    assert await listed(store, queue="none") == []
    assert await listed(store, queue="p", status=Status.FAILED) == []


async def test_times_of_creation_bound_the_list_to_the_microsecond(
    store: Store,
) -> None:
    made = [(await storage.enqueue(store))[0] for _ in range(5)]
    at = made[2].created_at
    assert await listed(store, created_after=at) == [m.id for m in reversed(made[2:])]
    assert await listed(store, created_before=at) == [m.id for m in reversed(made[:2])]
    just = timedelta(microseconds=1)
    assert await listed(store, created_after=at, created_before=at + just) == [made[2].id]


async def test_a_filter_that_fits_next_to_nothing_gives_short_pages_that_lead_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MOST_LOOKED", 100)
    (oldest,) = await storage.enqueue(store, type="rare")
    await storage.enqueue(store, 950)
    found = await pages(store, Wanted(type="rare"), limit=10)
    assert [task.id for page in found for task in page.tasks] == [oldest.id]
    assert len(found) == 10
    assert [len(page.tasks) for page in found[:-1]] == [0] * 9


async def test_what_has_ended_is_listed_at_once_behind_a_large_backlog(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MOST_LOOKED", 30)
    worker = await storage.worker(store)
    ended = [each.id for each in await storage.enqueue(store, 10)]
    claimed = await storage.claim(store, worker)
    await store.leases.finish(storage.ends(claimed[:4], Outcome.CANCELLED))
    await store.leases.finish(storage.ends(claimed[4:], Outcome.SUCCEEDED))
    await storage.enqueue(store, 200)
    for status, ids in ((Status.CANCELLED, ended[:4]), (Status.SUCCEEDED, ended[4:])):
        (page,) = await pages(store, Wanted(status=status), limit=10)
        assert [task.id for task in page.tasks] == ids[::-1]


async def test_a_page_that_ends_amid_the_attempts_of_a_task_loses_no_task(store: Store) -> None:
    worker = await storage.worker(store)
    made = [each.id for each in await storage.enqueue(store, 6)]
    for _ in range(3):
        tasks = await storage.claim(store, worker)
        await store.leases.finish(storage.ends(tasks, Outcome.RELEASED))
    tasks = await storage.claim(store, worker)
    await store.leases.finish(storage.ends(tasks, Outcome.SUCCEEDED))
    assert await store.db.fetchval("SELECT count(*) FROM tidemill.attempts") == 4 * len(made)
    for limit in range(1, 8):
        assert await listed(store, limit=limit, status=Status.SUCCEEDED) == made[::-1]


async def test_workers_are_listed_with_what_they_hold(store: Store) -> None:
    busy, idle = await storage.worker(store, name="busy"), await storage.worker(store, name="idle")
    gone = await storage.worker(store)
    await storage.enqueue(store, 3)
    await storage.claim(store, busy)
    await store.workers.leave(gone)
    first, second = await store.listing.workers()
    assert (first.id, first.name, first.running) == (busy.id, "busy", 3)
    assert (second.id, second.name, second.running) == (idle.id, "idle", 0)
    assert 0 <= first.seen_seconds < 60
    (after,) = await store.listing.workers(after=first.id)
    assert after.id == idle.id
