"""How attempts end, end to end: what is retried and when, what is given up, what never starts."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from tests.support import ledger
from tests.support.worker import eventually, eventually_async, finished
from tidemill import App, Context, NewTask, Retry, RetryPolicy, Snooze
from tidemill.client import Client
from tidemill.retry import JITTER
from tidemill.settings import Settings
from tidemill.states import Event, Status
from tidemill.store import Store
from tidemill_worker import Worker

EXPONENTIAL = RetryPolicy(base_seconds=10, factor=3, max_seconds=60)
FIXED = RetryPolicy(policy="fixed", base_seconds=7)
LISTED = RetryPolicy(policy="list", delays_seconds=(5, 40))


async def delays(store: Store, task_id: UUID, kind: Event) -> list[float]:
    """Return the seconds from each end of this kind to when the task was to run again."""
    history = await store.tasks.history(task_id)
    ends = [event for event in history if event.event_type is kind]
    return [(end.run_at - end.created_at).total_seconds() for end in ends if end.run_at]


async def hurry_on(store: Store, task_id: UUID) -> None:
    """Wait for the task's end, and never for its delays."""

    async def over() -> bool:
        await store.db.execute("UPDATE tidemill.scheduled SET run_at = now() - interval '1 s'")
        task = await store.tasks.get(task_id)
        return task is not None and task.status.final

    await eventually_async(over)


@pytest.mark.parametrize(
    "case",
    [
        (None, [1, 2, 4, 8]),
        (EXPONENTIAL, [10, 30, 60, 60]),
        (FIXED, [7, 7, 7, 7]),
        (LISTED, [5, 40, 40, 40]),
    ],
    ids=["default", "exponential", "fixed", "list"],
)
async def test_a_policy_says_when_each_retry_comes(
    app: App,
    settings: Settings,
    store: Store,
    client: Client,
    case: tuple[RetryPolicy | None, list[float]],
) -> None:
    policy, expected = case

    @app.task(max_retries=4, retry=policy)
    async def task() -> None:
        raise ConnectionError("never")

    stored = await client.enqueue(app.tasks["task"].new())
    async with Worker(app, settings=settings):
        await hurry_on(store, stored.id)
    waited = await delays(store, stored.id, Event.RETRY_SCHEDULED)
    assert len(waited) == len(expected)
    for seconds, plain in zip(waited, expected, strict=True):
        assert max(1.0, plain * (1 - JITTER)) <= seconds <= plain * (1 + JITTER)
    task_now = await client.get(stored.id)
    assert (task_now.status, task_now.retry_count) == (Status.FAILED, 4)


async def test_a_handler_may_say_when_to_run_again_with_and_without_charge(
    app: App, settings: Settings, store: Store, client: Client
) -> None:
    said: list[int] = []

    @app.task(max_retries=1)
    async def task(context: Context) -> str:
        said.append(context.attempt)
        if len(said) == 1:
            raise Snooze(90)
        if len(said) == 2:
            raise Retry("busy", after=70)
        return "done"

    stored = await client.enqueue(NewTask(type="task", max_retries=1))
    async with Worker(app, settings=settings):
        await hurry_on(store, stored.id)
    assert await delays(store, stored.id, Event.TASK_SNOOZED) == [90.0]
    assert await delays(store, stored.id, Event.RETRY_SCHEDULED) == [70.0]
    assert said == [1, 1, 2]
    task_now = await client.get(stored.id)
    assert (task_now.status, task_now.result, task_now.retry_count) == (
        Status.SUCCEEDED,
        "done",
        1,
    )


async def test_only_exceptions_of_retry_on_are_retried_and_none_of_discard_on(
    app: App, settings: Settings, store: Store, client: Client
) -> None:
    @app.task(retry_on=(OSError,))
    async def picky(kind: str) -> None:
        raise TimeoutError(kind) if kind == "os" else ValueError(kind)

    @app.task(discard_on=(LookupError,))
    def strict(kind: str) -> None:
        raise KeyError(kind) if kind == "lookup" else ValueError(kind)

    async with Worker(app, settings=settings):
        retried, refused, discarded, other = await client.enqueue_many(
            [
                NewTask(type="picky", payload={"kind": "os"}),  # a TimeoutError is an OSError
                NewTask(type="picky", payload={"kind": "value"}),
                NewTask(type="strict", payload={"kind": "lookup"}),  # a KeyError is one
                NewTask(type="strict", payload={"kind": "value"}),
            ]
        )
        for stored in (refused, discarded):
            task = await finished(store, stored.id)
            assert (task.status, task.retry_count) == (Status.FAILED, 0)

        async def both_wait() -> bool:
            tasks = [await client.get(each.id) for each in (retried, other)]
            return all(task.retry_count == 1 for task in tasks)

        await eventually_async(both_wait)


async def test_a_timeout_is_a_failed_attempt_that_is_retried(
    app: App, settings: Settings, store: Store, client: Client
) -> None:
    @app.task
    async def task(context: Context) -> int:
        if context.attempt == 1:
            await asyncio.sleep(600)
        return context.attempt

    stored = await client.enqueue(NewTask(type="task", timeout_seconds=0.1))
    async with Worker(app, settings=settings):
        await hurry_on(store, stored.id)
    task_now = await client.get(stored.id)
    assert (task_now.status, task_now.result, task_now.retry_count) == (Status.SUCCEEDED, 2, 1)


async def test_a_function_past_its_timeout_is_a_failed_attempt_while_its_thread_goes_on(
    app: App, settings: Settings, store: Store, client: Client
) -> None:
    go_on, reasons = threading.Event(), list[str | None]()

    @app.task(max_retries=0)
    def task(context: Context) -> str:
        go_on.wait(100)
        reasons.append(context.stop_reason)
        return "too late"

    stored = await client.enqueue(NewTask(type="task", timeout_seconds=0.2, max_retries=0))
    async with Worker(app, settings=settings) as worker:
        task_now = await finished(store, stored.id)
        assert task_now.status is Status.FAILED
        assert task_now.last_error is not None
        assert task_now.last_error["type"] == "TimedOut"
        go_on.set()
        await eventually(lambda: worker.running == 0)
    assert reasons == ["timeout"]
    assert (await client.get(stored.id)).result is None
    await ledger.balance(store)


async def test_what_has_not_started_by_expires_at_never_starts(
    app: App, settings: Settings, store: Store, client: Client
) -> None:
    ran: list[str] = []

    @app.task
    async def task(name: str) -> None:
        ran.append(name)

    soon = datetime.now(UTC) + timedelta(hours=1)
    late, in_time = await client.enqueue_many(
        [NewTask(type="task", payload={"name": each}, expires_at=soon) for each in ("late", "ok")]
    )
    await store.db.execute(
        "UPDATE tidemill.tasks SET expires_at = now() - interval '1 s' WHERE id = $1", late.id
    )
    async with Worker(app, settings=settings):
        assert (await finished(store, in_time.id)).status is Status.SUCCEEDED
        task_now = await finished(store, late.id)
    assert task_now.status is Status.CANCELLED
    assert ran == ["ok"]
    await ledger.balance(store)


async def test_what_has_started_by_expires_at_runs_on(
    app: App, settings: Settings, store: Store, client: Client
) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    @app.task
    async def task() -> str:
        started.set()
        await go_on.wait()
        return "done"

    soon = datetime.now(UTC) + timedelta(hours=1)
    stored = await client.enqueue(NewTask(type="task", expires_at=soon))
    async with Worker(app, settings=settings):
        await started.wait()
        await store.db.execute("UPDATE tidemill.tasks SET expires_at = now() - interval '1 s'")
        go_on.set()
        assert (await finished(store, stored.id)).result == "done"
