"""The claimer: hints never hide a task, queues come and go, what cannot run is ended."""

import asyncio
from typing import Any

import pytest

from tests.support import ledger, storage
from tidemill.db import Database
from tidemill.models import ClaimedTask
from tidemill.store import Store, claimer, hints
from tidemill.store.claimer import Claimer
from tidemill.store.queues import Owner, QueueSettings


async def claimer_of(store: Store, *queues: str) -> Claimer:
    worker = await storage.worker(store)
    return Claimer(store, worker, queues=queues or None, lease_seconds=30)


async def until_claimed(claiming: Claimer, count: int = 1) -> list[ClaimedTask]:
    """Claim as a polling worker does, until so many came."""
    found: list[ClaimedTask] = []
    async with asyncio.timeout(storage.LONGEST_SECONDS):
        while len(found) < count:
            found += await claiming.claim(10)
    return found


async def test_what_commits_late_behind_the_floor_is_found(
    store: Store, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hints, "TRAIL", 5)
    claiming = await claimer_of(store)
    await storage.enqueue(store)
    async with db.transaction() as late:
        made = await late.fetchval("SELECT tidemill.enqueue('t')")
        await storage.enqueue(store, 200)
        assert len(await claiming.claim(150)) == 150
        assert len(await claiming.claim(51)) == 51
    (found,) = await until_claimed(claiming)
    assert found.id == made


@pytest.mark.parametrize("fields", [{"priority": 9}, {"queue": "second"}])
async def test_a_new_priority_or_queue_is_found_while_another_is_busy(
    store: Store, fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claimer, "QUEUES_SECONDS", 0.05)
    claiming = await claimer_of(store)
    await storage.enqueue(store, 20)
    await claiming.claim(20)
    (made,) = await storage.enqueue(store, **fields)
    found: list[ClaimedTask] = []
    async with asyncio.timeout(storage.LONGEST_SECONDS):
        while made.id not in {task.id for task in found}:
            await storage.enqueue(store, 10)
            found += await claiming.claim(10)


async def test_only_named_queues_are_worked_on(store: Store) -> None:
    claiming = await claimer_of(store, "a", "later")
    await storage.enqueue(store, queue="a")
    await storage.enqueue(store, queue="b")
    assert [task.queue for task in await claiming.claim(10)] == ["a"]
    await storage.enqueue(store, queue="later")
    claiming.hear("b")
    assert await claiming.claim(10) == []
    claiming.hear("later")
    assert [task.queue for task in await until_claimed(claiming)] == ["later"]


async def test_all_queues_are_those_that_nobody_owns(store: Store) -> None:
    claiming = await claimer_of(store)
    await store.queues.configure("owned", QueueSettings(), Owner("u", "ns/owned"))
    await storage.enqueue(store, queue="owned")
    await storage.enqueue(store, queue="free")
    assert [task.queue for task in await until_claimed(claiming)] == ["free"]
    assert await claiming.claim(10) == []
    owner = await claimer_of(store, "owned")
    assert [task.queue for task in await owner.claim(10)] == ["owned"]


async def test_without_queues_or_room_nothing_is_claimed(store: Store) -> None:
    claiming = await claimer_of(store)
    assert await claiming.claim(10) == []
    await storage.enqueue(store)
    claiming.hear("default")
    assert await claiming.claim(0) == []
    assert len(await until_claimed(claiming)) == 1


async def test_what_cannot_run_is_ended_and_never_handed_out(store: Store, db: Database) -> None:
    claiming = await claimer_of(store)
    expired, gone, fine = await storage.enqueue(store, 3)
    await db.execute(
        "UPDATE tidemill.tasks SET expires_at = now() - interval '1 s' WHERE id = $1", expired.id
    )
    await db.execute("DELETE FROM tidemill.tasks WHERE id = $1", gone.id)
    assert [task.id for task in await claiming.claim(10)] == [fine.id]
    seen = await store.tasks.get(expired.id)
    assert seen is not None
    assert (seen.status, seen.started_at) == ("cancelled", None)
    assert seen.last_error is not None
    assert seen.last_error["type"] == "Expired"
    counts = (await store.stats.stats()).counts
    assert (counts.running_tasks, counts.failed_tasks, counts.cancelled_tasks) == (1, 1, 1)
    assert await storage.count(db, "leases") == 1


async def test_weights_give_turns(store: Store) -> None:
    claiming = await claimer_of(store, "a", "b", "b", "b")
    await storage.enqueue(store, 2000, queue="a")
    await storage.enqueue(store, 2000, queue="b")
    seen: list[str] = []
    while len(set(seen)) < 2:
        seen += [task.queue for task in await claiming.claim(1)]
    found = [task.queue for _ in range(40) for task in await claiming.claim(1)]
    assert found.count("b") == 3 * found.count("a") == 30
    assert (await ledger.balance(store))["running"] == 40 + len(seen)
