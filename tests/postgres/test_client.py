"""A Python producer: enqueue, look, and be told clearly what is wrong."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID

import pytest

from tidemill import App, NewTask
from tidemill.client import Client
from tidemill.errors import (
    ConfigurationError,
    IdempotencyConflict,
    InvalidTask,
    QueueFull,
    TaskNotFound,
)
from tidemill.notify import Listener
from tidemill.settings import Settings
from tidemill.states import Event, Status
from tidemill.store import Store


@pytest.fixture
async def producing(settings: Settings) -> AsyncIterator[App]:
    made = App(settings=settings)

    @made.task(queue="emails", priority="high")
    async def send(to: str) -> None: ...

    yield made
    await made.client.close()


async def test_a_task_is_enqueued_from_python_by_calling_its_fields(producing: App) -> None:
    stored = await producing.tasks["send"].enqueue(to="a")
    task = await producing.client.get(stored.id)
    assert (task.type, task.payload, task.queue, task.priority) == (
        "send",
        {"to": "a"},
        "emails",
        100,
    )
    assert task.status is Status.QUEUED
    (event,) = await producing.client.history(stored.id)
    assert event.event_type is Event.TASK_QUEUED


async def test_options_are_those_of_a_task(producing: App) -> None:
    later = producing.tasks["send"].using(delay_seconds=60, idempotency_key="k")
    first, second = await later.enqueue(to="a"), await later.enqueue(to="a")
    assert (first.id, first.created, second.created) == (second.id, True, False)
    assert (await producing.client.get(first.id)).status is Status.SCHEDULED


async def test_a_bad_payload_is_refused_before_anything_is_stored(producing: App) -> None:
    with pytest.raises(InvalidTask, match=r"payload\.to: input should be a valid string"):
        await producing.tasks["send"].enqueue(to=3)


async def test_the_faults_of_a_task_enqueued_alone_are_named_by_its_own_fields(
    producing: App, settings: Settings
) -> None:
    small = Client.of(replace(settings, max_payload_bytes=1024))
    async with small:
        with pytest.raises(InvalidTask) as refused:
            await small.enqueue(NewTask(type="send", priority=99_999, payload={"to": "a" * 2000}))
    rules = "priority: must be a whole number from -32768 to 32767 (got 99999); "
    assert str(refused.value).startswith(rules + "payload: must be at most 1024 bytes as JSON")
    assert [each.field for each in refused.value.faults] == ["priority", "payload"]
    keyed = producing.tasks["send"].using(idempotency_key="k")
    await keyed.enqueue(to="a")
    with pytest.raises(IdempotencyConflict, match=r"^idempotency_key"):
        await keyed.enqueue(to="b")
    with pytest.raises(InvalidTask, match=r"^tasks\[1\]\.priority"):
        await producing.client.enqueue_many(
            [NewTask(type="send"), NewTask(type="send", priority=99_999)]
        )


async def test_a_full_queue_is_told_with_when_to_try_again(producing: App, store: Store) -> None:
    await store.queues.put("emails", {"max_depth": 2})
    send = producing.tasks["send"]
    for _ in range(2):
        await send.enqueue(to="a")
    with pytest.raises(QueueFull, match=r"^queue: .*emails") as refused:
        await send.enqueue(to="a")
    assert refused.value.retry_after >= 1
    assert (await send.using(queue="other").enqueue(to="a")).queue == "other"


async def test_where_queues_are_not_created_an_unknown_one_is_a_fault(
    settings: Settings, store: Store
) -> None:
    closed = replace(settings, create_queues_on_enqueue="off")
    async with Client.of(closed) as client:
        with pytest.raises(InvalidTask, match=r"^queue: .*typo"):
            await client.enqueue(NewTask(type="send", queue="typo"))
        await store.queues.put("emails", {})
        assert (await client.enqueue(NewTask(type="send", queue="emails"))).created
    assert [queue.name for queue in await store.queues.list()] == ["emails"]


async def test_an_unknown_task_is_not_found(client: Client) -> None:
    nobody = UUID(int=1)
    with pytest.raises(TaskNotFound):
        await client.get(nobody)
    with pytest.raises(TaskNotFound):
        await client.history(nobody)


async def test_an_enqueue_wakes_workers(client: Client, settings: Settings) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    listener = Listener(settings, application="tests")
    listener.subscribe(heard.put_nowait)
    async with listener:
        assert await asyncio.wait_for(heard.get(), 10) == ""  # it listens now
        await client.enqueue(NewTask(type="send", queue="emails"))
        assert await asyncio.wait_for(heard.get(), 10) == "emails"


def test_without_a_database_the_client_says_which_setting_is_missing() -> None:
    app = App(settings=replace(Settings(), database_url=""))
    with pytest.raises(ConfigurationError, match="TIDEMILL_DATABASE_URL must be set"):
        _ = app.client


def test_a_closed_client_serves_the_next_event_loop(settings: Settings) -> None:
    app = App(settings=settings)

    @app.task
    async def send(to: str) -> None: ...

    async def once() -> None:
        async with app.client:
            handle = await send.enqueue(to="a")
            with pytest.raises(TimeoutError):
                await handle.result(timeout=0.05)
            assert (await handle.cancel()).status is Status.CANCELLED

    for _ in range(2):
        asyncio.run(once())


async def test_another_event_loop_is_refused_while_a_client_is_open(client: Client) -> None:
    handle = await client.enqueue(NewTask(type="t"))
    with pytest.raises(RuntimeError, match="another event loop: close it there first"):
        await asyncio.to_thread(lambda: asyncio.run(client.get(handle.id)))
    assert (await client.get(handle.id)).status is Status.QUEUED
