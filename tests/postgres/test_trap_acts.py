"""What people do to a task races with what happens to it: whoever comes first, the books balance.

Each meeting is arranged, not hoped for: the first one's transaction is open while the second waits
for it. A claim and a promotion never wait, they pass by what others hold.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from tests.support import ledger, storage
from tidemill import sql
from tidemill.acts import Act, Verdict
from tidemill.db import Database, Session
from tidemill.states import Outcome
from tidemill.store import Store

if TYPE_CHECKING:
    from tidemill.models import ClaimedTask

Deed = Callable[[Store, UUID], Awaitable[dict[UUID, Act]]]

DEEDS: dict[str, Deed] = {
    "cancel": lambda store, task: store.acts.cancel([task]),
    "delete": lambda store, task: store.acts.delete([task]),
    "reprioritise": lambda store, task: store.acts.reprioritise([task], 7),
    "move": lambda store, task: store.acts.move([task], "there"),
}
# what becomes of a deed that met a claim, and came second
AFTER_A_CLAIM = {"cancel": Verdict.REQUESTED} | dict.fromkeys(
    ("delete", "reprioritise", "move"), Verdict.REFUSED
)


async def one(store: Store, **fields: Any) -> UUID:
    (made,) = await storage.enqueue(store, idempotency_key="k", **fields)
    return made.id


async def failed(store: Store) -> UUID:
    task = await one(store)
    claimed = await storage.claim(store, await storage.worker(store))
    await store.leases.finish(storage.ends(claimed, Outcome.FAILED))
    return task


@asynccontextmanager
async def waited_for(
    db: Database, first: Callable[[Session], Awaitable[object]], second: Awaitable[Any]
) -> AsyncGenerator[asyncio.Task[Any]]:
    """Do `first` in an open transaction, wait until `second` waits for it, commit."""
    async with db.transaction() as session:
        await first(session)
        waiting = asyncio.ensure_future(second)
        await storage.until_blocked(db)
    yield waiting


async def answer(second: asyncio.Task[dict[UUID, Act]], task: UUID) -> Verdict:
    return (await second)[task].verdict


async def status(store: Store, task: UUID) -> str | None:
    found = await store.tasks.get(task)
    return found.status.value if found else None


async def statement(session: Session, name: str, task: UUID, *more: Any) -> None:
    """Run one act's statements in an open transaction."""
    if name == "delete":
        await session.fetch(sql.load("bodies_lock"), [task])
    elif name == "replay":
        await session.fetch(sql.load("bodies_share"), [task])
    await session.fetch(sql.load(name), [task], *more)


@pytest.mark.parametrize("deed", DEEDS)
async def test_an_act_that_meets_a_claim_waits_and_finds_the_task_running(
    store: Store, db: Database, deed: str
) -> None:
    task, worker = await one(store), await storage.worker(store)
    taken: list[ClaimedTask] = []

    async def claim(session: Session) -> None:
        taken.extend(await storage.claim(storage.store_on(session), worker))

    async with waited_for(db, claim, DEEDS[deed](store, task)) as acting:
        assert await answer(acting, task) is AFTER_A_CLAIM[deed]
    assert await store.leases.finish(storage.ends(taken, Outcome.SUCCEEDED)) == {taken[0].lease}
    assert (await ledger.balance(store))["succeeded"] == 1


@pytest.mark.parametrize("deed", ["cancel", "delete", "reprioritise", "move"])
async def test_a_claim_that_meets_an_act_passes_the_task_by(
    store: Store, db: Database, deed: str
) -> None:
    task, worker = await one(store), await storage.worker(store)
    await store.queues.put("there", {})
    there = await db.fetchval(sql.load("queue_id"), "there")
    more: dict[str, list[Any]] = {
        "cancel": ["me"],
        "delete": [None],
        "reprioritise": [7, "me"],
        "move": [there, "me"],
    }
    forgotten = await ledger.flows(db, [task] if deed == "delete" else [])
    async with db.transaction() as acting:
        await statement(acting, deed, task, *more[deed])
        assert await storage.claim(store, worker) == []
    again = await storage.claim(store, worker)
    assert len(again) == (deed in {"reprioritise", "move"})
    counts = await ledger.balance(store, forgotten)
    assert sum(counts.values()) == (deed != "delete")


@pytest.mark.parametrize("deed", DEEDS)
async def test_an_act_that_meets_a_promotion_finds_the_task_in_its_queue(
    store: Store, db: Database, deed: str
) -> None:
    task = await one(store, delay_seconds=60)
    await storage.make_due(db)
    forgotten = await ledger.flows(db, [task] if deed == "delete" else [])

    def promote(session: Session) -> Awaitable[object]:
        return storage.store_on(session).upkeep.promote(10)

    async with waited_for(db, promote, DEEDS[deed](store, task)) as acting:
        assert await answer(acting, task) is Verdict.DONE
    await ledger.balance(store, forgotten)


async def test_a_promotion_that_meets_a_cancel_passes_the_task_by(
    store: Store, db: Database
) -> None:
    task = await one(store, delay_seconds=60)
    await storage.make_due(db)
    async with db.transaction() as cancelling:
        await statement(cancelling, "cancel", task, "me")
        assert await store.upkeep.promote(10) == {}
    assert await status(store, task) == "cancelled"
    await ledger.balance(store)


@pytest.mark.parametrize(
    ("outcome", "verdict", "after"),
    [
        (Outcome.SUCCEEDED, Verdict.REFUSED, "succeeded"),
        (Outcome.FAILED, Verdict.REFUSED, "failed"),
        (Outcome.RETRY, Verdict.DONE, "cancelled"),  # found again where it went meanwhile
        (Outcome.RELEASED, Verdict.DONE, "cancelled"),
    ],
)
async def test_a_cancel_that_meets_a_completion_comes_second(
    store: Store, db: Database, outcome: Outcome, verdict: Verdict, after: str
) -> None:
    task = await one(store)
    claimed = await storage.claim(store, await storage.worker(store))

    def finish(session: Session) -> Awaitable[object]:
        ends = storage.ends(claimed, outcome, delay_seconds=60)
        return storage.store_on(session).leases.finish(ends)

    async with waited_for(db, finish, store.acts.cancel([task])) as cancelling:
        assert await answer(cancelling, task) is verdict
    assert await status(store, task) == after
    await ledger.balance(store)


@pytest.mark.parametrize(
    ("outcome", "after"),
    [
        (Outcome.SUCCEEDED, "succeeded"),  # it was done, whoever wished it were not
        (Outcome.FAILED, "failed"),
        (Outcome.RETRY, "cancelled"),
        (Outcome.SNOOZED, "cancelled"),
        (Outcome.RELEASED, "cancelled"),
    ],
)
async def test_a_completion_that_meets_a_cancel_is_recorded_and_runs_no_more(
    store: Store, db: Database, outcome: Outcome, after: str
) -> None:
    task = await one(store)
    claimed = await storage.claim(store, await storage.worker(store))
    ends = storage.ends(claimed, outcome, delay_seconds=60)

    def cancel(session: Session) -> Awaitable[object]:
        return statement(session, "cancel", task, "me")

    async with waited_for(db, cancel, store.leases.finish(ends)) as finishing:
        assert await finishing == {claimed[0].lease}
    assert await status(store, task) == after
    await ledger.balance(store)


async def test_a_cancel_outlives_a_claim_whose_answer_was_lost(store: Store) -> None:
    task, worker = await one(store), await storage.worker(store)
    await storage.claim(store, worker)
    await store.acts.cancel([task])
    assert await store.workers.release_unknown(worker, []) == [task]
    assert await status(store, task) == "cancelled"
    await ledger.balance(store)


async def test_of_two_replays_at_once_one_brings_the_task_back(store: Store, db: Database) -> None:
    task = await failed(store)

    def replay(session: Session) -> Awaitable[object]:
        return statement(session, "replay", task, "me", None)

    async with waited_for(db, replay, store.acts.retry([task])) as second:
        assert await answer(second, task) is Verdict.REFUSED
    assert len(await storage.claim(store, await storage.worker(store))) == 1
    await ledger.balance(store)


async def test_many_replays_of_the_same_tasks_bring_each_back_once(store: Store) -> None:
    await storage.enqueue(store, 50)
    claimed = await storage.claim(store, await storage.worker(store))
    await store.leases.finish(storage.ends(claimed, Outcome.FAILED))
    ids = [task.id for task in claimed]
    said = await asyncio.gather(*(store.acts.retry(ids[::turn]) for turn in (1, -1, 1, -1)))
    done = [act for each in said for act in each.values() if act.verdict is Verdict.DONE]
    assert len(done) == 50
    assert (await ledger.balance(store))["queued"] == 50


async def test_a_replay_that_meets_a_deletion_finds_nothing(store: Store, db: Database) -> None:
    task = await failed(store)
    forgotten = await ledger.flows(db, [task])

    def delete(session: Session) -> Awaitable[object]:
        return statement(session, "delete", task, None)

    async with waited_for(db, delete, store.acts.retry([task])) as replaying:
        assert await answer(replaying, task) is Verdict.MISSING
    assert sum((await ledger.balance(store, forgotten)).values()) == 0


async def test_a_deletion_that_meets_a_replay_deletes_what_came_back(
    store: Store, db: Database
) -> None:
    task = await failed(store)

    def replay(session: Session) -> Awaitable[object]:
        return statement(session, "replay", task, "me", None)

    async with waited_for(db, replay, store.acts.delete([task])) as deleting:
        assert (await deleting)[task].verdict is Verdict.DONE
    assert await storage.count(db, "tasks") == await storage.count(db, "ready") == 0
    assert await storage.count(db, "idempotency_keys") == 0


async def test_replay_and_enqueue_of_one_key_make_one_live_task(store: Store, db: Database) -> None:
    task = await failed(store)
    async with db.transaction() as producing:
        await producing.execute("SELECT tidemill.enqueue('t', idempotency_key => 'k')")
        replaying = asyncio.ensure_future(store.acts.retry([task]))
        await storage.until_blocked(db)
    assert await answer(replaying, task) is Verdict.KEY_TAKEN
    assert await ledger.balance(store) == {
        **dict.fromkeys(ledger.STATUSES, 0),
        "queued": 1,
        "failed": 1,
    }
