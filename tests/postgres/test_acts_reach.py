"""How far acts by filter go: every match once, in order, however rare and wherever it waits."""

from itertools import count
from uuid import UUID

import pytest

from tests.support import ledger, storage
from tidemill.acts import Bulk, Reach, TaskFilter
from tidemill.models import NewTask
from tidemill.states import Outcome, Status
from tidemill.store import Store, bulk

RARE = TaskFilter(type="rare")


async def scattered(store: Store, total: int = 600, every: int = 50) -> list[UUID]:
    """Enqueue tasks, now and for later; return the ids of the rare ones among them, in order."""
    numbers = count()
    tasks = [
        NewTask(type="rare" if n % every == 7 else "t", delay_seconds=600 if n % 3 else None)
        for n in (next(numbers) for _ in range(total))
    ]
    made = await store.tasks.enqueue(tasks)
    return sorted(m.id for m, task in zip(made, tasks, strict=True) if task.type == "rare")


async def pages(store: Store, limit: int, *, dry_run: bool) -> list[Bulk]:
    found: list[Bulk] = []
    after: UUID | None = None
    while True:
        reach = Reach(limit=limit, after=after, dry_run=dry_run)
        found.append(await store.bulk.cancel(RARE, reach))
        after = found[-1].next
        if after is None:
            return found


@pytest.mark.parametrize("longest", [10, 64, 10_000])
@pytest.mark.parametrize("limit", [1, 5, 12, 100])
async def test_pages_find_every_match_once(
    store: Store, monkeypatch: pytest.MonkeyPatch, limit: int, longest: int
) -> None:
    monkeypatch.setattr(bulk, "BATCH", 10)
    monkeypatch.setattr(bulk, "LONGEST", longest)
    rare = await scattered(store)
    counted = await pages(store, limit, dry_run=True)
    assert sum(page.matched for page in counted) == len(rare) == 12
    done = await pages(store, limit, dry_run=False)
    assert [page.matched for page in done] == [page.matched for page in counted]
    assert sum(page.changed for page in done) == 12
    rows = await store.db.fetch("SELECT task_id FROM tidemill.attempts ORDER BY token")
    assert sorted(row["task_id"] for row in rows) == rare
    assert (await ledger.balance(store))["cancelled"] == 12


async def test_places_are_gone_through_together_in_the_order_of_ids(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "BATCH", 3)
    worker = await storage.worker(store)
    made: list[UUID] = []
    for _ in range(4):
        (dead,) = await storage.enqueue(store)
        await store.leases.finish(storage.ends(await storage.claim(store, worker), Outcome.FAILED))
        made.append(dead.id)
        made.append((await storage.enqueue(store, delay_seconds=600))[0].id)
    halves = [made[:4], made[4:]]
    first = await store.bulk.retry(TaskFilter(queue="default"), Reach(limit=4))
    queued = [row["task_id"] for row in await store.db.fetch("SELECT task_id FROM tidemill.ready")]
    assert sorted(queued) == halves[0]
    assert first.next == halves[0][-1]
    second = await store.bulk.retry(TaskFilter(queue="default"), Reach(after=first.next))
    assert (second.changed, second.next) == (4, None)


async def test_times_bound_the_walk_to_the_microsecond(store: Store) -> None:
    made = [(await storage.enqueue(store))[0] for _ in range(4)]
    between = TaskFilter(created_after=made[1].created_at, created_before=made[3].created_at)
    assert (await store.bulk.cancel(between)).changed == 2
    states = [(await store.tasks.get(each.id)) for each in made]
    assert [task.status for task in states if task] == [
        Status.QUEUED,
        Status.CANCELLED,
        Status.CANCELLED,
        Status.QUEUED,
    ]
