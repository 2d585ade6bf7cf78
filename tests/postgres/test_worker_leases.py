"""Leases of a real worker: kept while it works, refused once lost, left to expire when it hangs."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import psycopg
import pytest

from tests.support.worker import eventually, eventually_async, finished
from tidemill import App, Context, NewTask
from tidemill.client import Client
from tidemill.errors import DatabaseUnavailable
from tidemill.models import ClaimedTask, Finish, Lease
from tidemill.sdk.context import StopReason
from tidemill.settings import Settings
from tidemill.states import Event, Outcome, Status
from tidemill.store import Store
from tidemill_worker import Worker


@pytest.fixture
def short(settings: Settings) -> Settings:
    """Leases of six seconds; nothing is recovered unless the test does it."""
    return replace(settings, lease_seconds=6.0, recover_seconds=0.0)


async def taken_back(store: Store) -> None:
    """Let all leases expire, and take back their tasks: again where a heartbeat came between."""

    async def recovered() -> bool:
        await store.db.execute("UPDATE tidemill.leases SET locked_until = '-infinity'")
        return (await store.upkeep.recover(10, 3)).total() == 1

    await eventually_async(recovered)


@contextmanager
def watching_leases(url: str) -> Iterator[list[bool]]:
    """Look from another thread, every 50 ms, whether any lease has expired; yield what was seen."""
    seen: list[bool] = []
    done = threading.Event()

    def look() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            while not done.wait(0.05):
                rows = connection.execute("SELECT locked_until < now() FROM tidemill.leases")
                seen.extend(expired for (expired,) in rows)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


async def test_a_handler_that_blocks_the_loop_keeps_its_lease(
    app: App, short: Settings, store: Store, client: Client
) -> None:
    @app.task
    async def task() -> None:
        time.sleep(14)  # noqa: ASYNC251 - blocking the loop is the subject

    stored = await client.enqueue(NewTask(type="task"))
    with watching_leases(short.database_url) as seen:
        async with Worker(app, settings=short):
            assert (await finished(store, stored.id)).status is Status.SUCCEEDED
    assert len(seen) > 20
    assert not any(seen)


async def test_the_lease_of_a_handler_that_blocks_past_its_timeout_expires(
    app: App, short: Settings, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill_worker.heart.TIMEOUT_GRACE_SECONDS", 0.1)

    @app.task
    async def task() -> None:
        time.sleep(4)  # noqa: ASYNC251 - blocking the loop is the subject

    await client.enqueue(NewTask(type="task", timeout_seconds=0.5))
    with watching_leases(short.database_url) as seen:
        async with Worker(app, settings=replace(short, lease_seconds=1.0)) as worker:
            await eventually(lambda: worker.leases == 1)
            await eventually(lambda: worker.leases == 0)
    assert any(seen)


async def test_a_worker_whose_lease_was_taken_back_is_stopped_and_records_nothing(
    app: App, short: Settings, store: Store, client: Client
) -> None:
    reasons: list[StopReason | None] = []

    @app.task
    async def task(context: Context) -> str:
        if context.attempt > 1:
            return "second"
        try:
            await asyncio.sleep(600)
        finally:
            reasons.append(context.stop_reason)
        return "first"

    stored = await client.enqueue(NewTask(type="task"))
    async with Worker(app, settings=short) as worker:
        await eventually(lambda: worker.leases == 1)
        await taken_back(store)
        task_now = await finished(store, stored.id)
        await eventually(lambda: bool(reasons))
    assert reasons == [StopReason.LEASE_LOST]
    assert (task_now.status, task_now.result, task_now.retry_count) == (
        Status.SUCCEEDED,
        "second",
        1,
    )
    kinds = [event.event_type for event in await store.tasks.history(stored.id)]
    assert kinds.count(Event.LEASE_EXPIRED) == 1
    assert kinds.count(Event.TASK_SUCCEEDED) == 1


async def test_a_late_completion_is_refused(
    app: App, short: Settings, store: Store, client: Client
) -> None:
    """The heart has not noticed yet: the fence is the token, not the heartbeat."""
    go_on = asyncio.Event()

    @app.task
    async def task(context: Context) -> int:
        if context.attempt == 1:
            await go_on.wait()
        return context.attempt

    stored = await client.enqueue(NewTask(type="task"))
    async with Worker(app, settings=replace(short, lease_seconds=60.0)) as worker:
        await eventually(lambda: worker.leases == 1)
        await taken_back(store)
        go_on.set()
        task_now = await finished(store, stored.id)
        await eventually(lambda: worker.leases == 0)
    assert (task_now.status, task_now.result, task_now.retry_count) == (Status.SUCCEEDED, 2, 1)
    outcomes = await store.db.fetch("SELECT outcome FROM tidemill.attempts ORDER BY token")
    assert [row["outcome"] for row in outcomes] == [Outcome.LEASE_EXPIRED, Outcome.SUCCEEDED]


async def test_an_outcome_whose_answer_was_lost_is_recorded_once(
    app: App, settings: Settings, store: Store, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    @app.task
    async def task() -> None: ...

    worker = Worker(app, settings=settings)
    finish, calls = worker._parts.finisher._leases.finish, 0

    async def finish_and_lose_the_answer(finishes: list[Finish]) -> set[Lease]:
        nonlocal calls
        calls += 1
        recorded = await finish(finishes)
        if calls == 1:
            raise DatabaseUnavailable("the connection was lost at commit")
        return recorded

    monkeypatch.setattr(worker._parts.finisher._leases, "finish", finish_and_lose_the_answer)
    lost: list[object] = []
    monkeypatch.setattr("tidemill_worker.metrics.LEASES_LOST.inc", lambda: lost.append(1))
    stored = await client.enqueue(NewTask(type="task"))
    async with worker:
        await finished(store, stored.id)
        await eventually(lambda: worker.leases == 0)
    assert calls == 2
    assert lost == []
    assert await store.db.fetchval("SELECT count(*) FROM tidemill.attempts") == 1


async def test_a_claim_whose_answer_was_lost_is_given_back_uncharged(
    app: App, settings: Settings, store: Store, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    @app.task
    async def task() -> None: ...

    worker = Worker(app, settings=settings)
    stored = await client.enqueue(NewTask(type="task"))
    claim, lost = worker._parts.store.leases.claim, 0

    async def claim_and_lose_the_answer(*args: object) -> list[ClaimedTask]:
        nonlocal lost
        claimed = await claim(*args)  # type: ignore[arg-type] # passed on as they came
        if claimed and not lost:
            lost = len(claimed)
            raise DatabaseUnavailable("the connection was lost at commit")
        return claimed

    monkeypatch.setattr(worker._parts.store.leases, "claim", claim_and_lose_the_answer)
    async with worker:
        epoch = worker.identity.epoch
        task_now = await finished(store, stored.id)
        assert worker.identity.epoch == epoch + 1
    assert lost == 1
    assert (task_now.status, task_now.retry_count) == (Status.SUCCEEDED, 0)
    kinds = [event.event_type for event in await store.tasks.history(stored.id)]
    assert Event.TASK_RELEASED in kinds


async def test_a_cancelled_task_is_stopped_through_the_heartbeat(
    app: App, short: Settings, store: Store, client: Client
) -> None:
    @app.task
    async def task() -> None:
        await asyncio.sleep(600)

    stored = await client.enqueue(NewTask(type="task"))
    async with Worker(app, settings=short) as worker:
        await eventually(lambda: worker.leases == 1)
        await store.db.execute("UPDATE tidemill.leases SET cancel_requested_at = now()")
        assert (await finished(store, stored.id)).status is Status.CANCELLED


async def test_a_worker_that_the_operator_marked_claims_nothing_and_is_not_ready(
    app: App, short: Settings, store: Store, client: Client
) -> None:
    @app.task
    async def task() -> None: ...

    async with Worker(app, settings=short) as worker:
        await store.db.execute("UPDATE tidemill.workers SET draining = true")
        await eventually(lambda: not worker.ready)
        stored = await client.enqueue(NewTask(type="task"))
        await asyncio.sleep(0.3)  # six hints' time: it would have been claimed by now
        assert (await client.get(stored.id)).status is Status.QUEUED
        await store.db.execute("UPDATE tidemill.workers SET draining = false")
        await finished(store, stored.id)
        assert worker.ready


async def test_a_worker_that_the_database_has_forgotten_registers_anew(
    app: App, short: Settings, store: Store, client: Client
) -> None:
    @app.task
    async def task() -> None: ...

    async with Worker(app, settings=short) as worker:
        known_as = worker.identity.id
        await store.db.execute("DELETE FROM tidemill.workers")
        stored = await client.enqueue(NewTask(type="task"))
        await finished(store, stored.id)
        assert worker.identity.id != known_as


async def test_tasks_that_wait_for_a_slot_too_long_are_handed_back(
    app: App, settings: Settings, store: Store, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill_worker.dispatcher.HAND_BACK_SECONDS", 0.2)

    @app.task
    async def quick() -> None: ...

    @app.task
    async def slow() -> None:
        await asyncio.sleep(600)

    async with Worker(app, settings=replace(settings, concurrency=2, drain_seconds=0)) as worker:
        await client.enqueue_many([NewTask(type="quick") for _ in range(200)])
        await client.enqueue_many([NewTask(type="slow") for _ in range(50)])

        async def only_running_ones_are_held() -> bool:
            return worker.leases == 2 and await store.db.fetchval(
                "SELECT count(*) = 48 FROM tidemill.ready"
            )

        await eventually_async(only_running_ones_are_held)
