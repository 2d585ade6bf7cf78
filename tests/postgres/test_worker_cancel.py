"""Cancelling tasks that a worker holds: at once, by notification, and whatever it races."""

import asyncio
import threading
import time
from dataclasses import replace
from uuid import UUID

import pytest

from tests.support import ledger
from tests.support.worker import eventually, finished
from tidemill import App, Context, NewTask, Retry
from tidemill.acts import Verdict
from tidemill.client import Client
from tidemill.sdk.context import StopReason
from tidemill.settings import Settings
from tidemill.states import Event, Status
from tidemill.store import Store
from tidemill_worker import Worker

AT_ONCE_SECONDS = 60.0
"""With a heartbeat each ten minutes, what is quicker came by the notification."""


def slowly(settings: Settings) -> Settings:
    return replace(settings, heartbeat_seconds=600.0, lease_seconds=3000.0)


async def cancel(store: Store, task_id: UUID) -> Verdict:
    return (await store.acts.cancel([task_id]))[task_id].verdict


async def test_a_running_coroutine_is_cancelled_at_once(
    app: App, settings: Settings, store: Store, client: Client
) -> None:
    started, reasons = asyncio.Event(), list[StopReason | None]()

    @app.task
    async def task(context: Context) -> None:
        started.set()
        try:
            await asyncio.sleep(600)
        finally:
            reasons.append(context.stop_reason)

    async with Worker(app, settings=slowly(settings)):
        stored = await client.enqueue(NewTask(type="task"))
        await started.wait()
        began = time.monotonic()
        assert await cancel(store, stored.id) is Verdict.REQUESTED
        task_now = await finished(store, stored.id)
        spent = time.monotonic() - began
    assert task_now.status is Status.CANCELLED
    assert spent < AT_ONCE_SECONDS
    assert reasons == [StopReason.CANCELLED]
    events = [event.event_type for event in await store.tasks.history(stored.id)]
    assert events == [Event.TASK_QUEUED, Event.TASK_STARTED, Event.TASK_CANCELLED]
    assert (await ledger.balance(store))["cancelled"] == 1


async def test_a_function_that_looks_at_its_context_is_cancelled_at_once(
    app: App, settings: Settings, store: Store, client: Client
) -> None:
    started, seen = threading.Event(), list[bool]()

    @app.task
    def task(context: Context) -> None:
        started.set()
        try:
            while True:
                context.raise_if_stopped()
                time.sleep(0.01)
        finally:
            seen.append(context.cancelled)

    async with Worker(app, settings=slowly(settings)):
        stored = await client.enqueue(NewTask(type="task"))
        await eventually(started.is_set)
        began = time.monotonic()
        await cancel(store, stored.id)
        assert (await finished(store, stored.id)).status is Status.CANCELLED
        assert time.monotonic() - began < AT_ONCE_SECONDS
    assert seen == [True]


async def test_a_function_that_will_not_stop_is_recorded_without_it(
    app: App, settings: Settings, store: Store, client: Client
) -> None:
    started, go_on = threading.Event(), threading.Event()

    @app.task
    def task() -> str:
        started.set()
        go_on.wait(100)
        return "too late"

    async with Worker(app, settings=settings) as worker:
        stored = await client.enqueue(NewTask(type="task"))
        await eventually(started.is_set)
        await cancel(store, stored.id)
        assert (await finished(store, stored.id)).status is Status.CANCELLED
        assert worker.running == 1  # its slot stays taken
        go_on.set()
        await eventually(lambda: worker.running == 0)
    task_now = await client.get(stored.id)
    assert (task_now.status, task_now.result) == (Status.CANCELLED, None)


async def test_a_prefetched_task_that_is_cancelled_never_starts(
    app: App, settings: Settings, store: Store, client: Client
) -> None:
    started: list[int] = []
    go_on = asyncio.Event()

    @app.task
    async def task(n: int) -> None:
        started.append(n)
        await go_on.wait()

    one_slot = replace(slowly(settings), concurrency=1, prefetch="5")
    async with Worker(app, settings=one_slot) as worker:
        tasks = [NewTask(type="task", payload={"n": n}) for n in range(3)]
        first, second, third = await client.enqueue_many(tasks)
        await eventually(lambda: worker.leases == 3)
        assert await cancel(store, second.id) is Verdict.REQUESTED
        began = time.monotonic()
        assert (await finished(store, second.id)).status is Status.CANCELLED
        assert time.monotonic() - began < AT_ONCE_SECONDS
        go_on.set()
        for stored in (first, third):
            assert (await finished(store, stored.id)).status is Status.SUCCEEDED
    assert started == [0, 2]
    history = await store.tasks.history(second.id)
    assert Event.TASK_STARTED not in [event.event_type for event in history]


async def test_a_handler_that_returns_though_cancelled_succeeds(
    app: App, settings: Settings, store: Store, client: Client
) -> None:
    started = asyncio.Event()

    @app.task
    async def task() -> str:
        started.set()
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            return "done all the same"
        return "never asked"

    async with Worker(app, settings=settings):
        stored = await client.enqueue(NewTask(type="task"))
        await started.wait()
        await cancel(store, stored.id)
        task_now = await finished(store, stored.id)
    assert (task_now.status, task_now.result) == (Status.SUCCEEDED, "done all the same")
    await ledger.balance(store)


async def test_a_failure_that_crosses_with_the_request_is_not_retried(
    app: App, settings: Settings, store: Store, client: Client
) -> None:
    """The handler fails before its worker hears of the request: the end is still `cancelled`."""
    started, go_on = asyncio.Event(), asyncio.Event()

    @app.task
    async def task() -> None:
        started.set()
        await go_on.wait()
        raise Retry("again, please", after=0.01)

    async with Worker(app, settings=settings):
        stored = await client.enqueue(NewTask(type="task"))
        await started.wait()
        await store.db.execute("UPDATE tidemill.leases SET cancel_requested_at = now()")
        go_on.set()
        assert (await finished(store, stored.id)).status is Status.CANCELLED
    await ledger.balance(store)


async def test_without_the_notification_the_next_heartbeat_tells(
    app: App, settings: Settings, store: Store, client: Client
) -> None:
    started = asyncio.Event()

    @app.task
    async def task() -> None:
        started.set()
        await asyncio.sleep(600)

    pooled = replace(settings, database_pooler="transaction", heartbeat_seconds=0.5)
    async with Worker(app, settings=pooled):
        stored = await client.enqueue(NewTask(type="task"))
        await started.wait()
        await cancel(store, stored.id)
        assert (await finished(store, stored.id)).status is Status.CANCELLED


@pytest.mark.timeout(300)
async def test_cancels_that_race_completions_leave_one_end_each(
    app: App, settings: Settings, store: Store
) -> None:
    """A completion that came first wins; what was cancelled first never succeeds afterwards."""

    @app.task
    async def task(seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "done"

    async with Worker(app, settings=replace(settings, concurrency=50)):
        tasks = [NewTask(type="task", payload={"seconds": n % 7 / 500}) for n in range(600)]
        stored = await store.tasks.enqueue(tasks)
        verdicts: list[Verdict] = []
        for start in range(0, 600, 20):
            batch = [each.id for each in stored[start : start + 20]]
            verdicts += [act.verdict for act in (await store.acts.cancel(batch)).values()]
        ends = [await finished(store, each.id) for each in stored]
    statuses = {task.status for task in ends}
    assert statuses <= {Status.SUCCEEDED, Status.CANCELLED}
    for task_now in ends:
        assert task_now.result == ("done" if task_now.status is Status.SUCCEEDED else None)
    cancelled = sum(task.status is Status.CANCELLED for task in ends)
    at_once = verdicts.count(Verdict.DONE)
    assert at_once <= cancelled <= at_once + verdicts.count(Verdict.REQUESTED)
    books = await ledger.balance(store)
    assert (books["cancelled"], books["succeeded"]) == (cancelled, 600 - cancelled)


async def test_a_task_claimed_while_it_is_being_cancelled_is_stopped_when_its_claim_arrives(
    app: App, settings: Settings, store: Store, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The notification comes before the answer to the claim: the worker asks again."""

    @app.task
    async def task() -> None:
        await asyncio.sleep(600)

    worker = Worker(app, settings=slowly(settings))
    claim = worker._parts.store.leases.claim
    asked: list[UUID] = []

    async def claim_and_be_cancelled(*args: object) -> object:
        claimed = await claim(*args)  # type: ignore[arg-type] # passed on as they came
        for each in claimed:
            assert await cancel(store, each.id) is Verdict.REQUESTED
            asked.append(each.id)
            await asyncio.sleep(0.3)  # the answer is slow: the notification overtakes it
        return claimed

    monkeypatch.setattr(worker._parts.store.leases, "claim", claim_and_be_cancelled)
    async with worker:
        stored = await client.enqueue(NewTask(type="task"))
        await eventually(lambda: asked == [stored.id])
        began = time.monotonic()
        assert (await finished(store, stored.id)).status is Status.CANCELLED
        assert time.monotonic() - began < AT_ONCE_SECONDS
