"""Producers over HTTP get what producers on the database get: handles, errors, results."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import aiohttp
import pytest

from tests.contract.conftest import Start
from tidemill import App, Discard, HttpClient, NewTask, RetryPolicy
from tidemill.errors import (
    ApiUnavailable,
    ConfigurationError,
    Conflict,
    IdempotencyConflict,
    InvalidTask,
    QueueFull,
    TaskCancelled,
    TaskFailed,
    TaskNotFound,
    UnknownType,
)
from tidemill.settings import Settings
from tidemill.states import Event, Status
from tidemill.store import Store
from tidemill_cli.local.postgres import free_port
from tidemill_worker import Worker


def url_of(http: aiohttp.ClientSession) -> str:
    assert http._base_url is not None
    return str(http._base_url)


@pytest.fixture
async def client(http: aiohttp.ClientSession) -> AsyncIterator[HttpClient]:
    async with HttpClient(url_of(http)) as made:
        yield made


@pytest.fixture
def app(client: HttpClient) -> App:
    made = App(client=client)

    @made.task
    async def add(a: int, b: int) -> int:
        return a + b

    @made.task
    async def fail() -> None:
        raise Discard("no")

    return made


async def test_a_tasks_result_comes_over_http(app: App, settings: Settings) -> None:
    async with Worker(app, settings=settings):
        handle = await app.tasks["add"].enqueue(a=1, b=2)
        assert await handle.result() == 3
        with pytest.raises(TaskFailed, match="Discard: no"):
            await (await app.tasks["fail"].enqueue()).result()


async def test_every_field_of_a_task_arrives(client: HttpClient, store: Store) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    given = NewTask(
        type="t", payload={"a": [1, None, "ü"]}, queue="q", name="n", priority=7, run_at=later,
        max_retries=2, timeout_seconds=9.5, retry=RetryPolicy(policy="fixed", base_seconds=2),
        idempotency_key="k", idempotency_ttl_seconds=60, expires_at=later, headers={"h": "v"},
    )  # fmt: skip
    handle = await client.enqueue(given)
    assert (handle.type, handle.queue, handle.status) == ("t", "q", Status.SCHEDULED)
    assert await client.get(handle.id) == await store.tasks.get(handle.id)
    again = await client.enqueue(given)
    assert (again.id, again.created) == (handle.id, False)


async def test_history_cancel_and_retry(client: HttpClient) -> None:
    handle = await client.enqueue(NewTask(type="t", delay_seconds=3600))
    assert (await client.retry(handle.id)).status is Status.QUEUED
    assert (await handle.cancel()).status is Status.CANCELLED
    with pytest.raises(Conflict, match="is cancelled"):
        await client.retry(handle.id)
    with pytest.raises(TaskCancelled):
        await handle.result()
    events = await client.history(handle.id)
    assert events[-1].event_type is Event.TASK_CANCELLED
    assert events[-1].created_at.tzinfo is not None


async def test_errors_are_those_of_a_client_of_the_database(
    client: HttpClient, store: Store
) -> None:
    with pytest.raises(InvalidTask) as invalid:
        await client.enqueue_many([NewTask(type="t"), NewTask(type="t", queue="a b")])
    assert [each.field for each in invalid.value.faults] == ["tasks[1].queue"]
    await client.enqueue(NewTask(type="t", idempotency_key="k"))
    with pytest.raises(IdempotencyConflict):
        await client.enqueue(NewTask(type="t", payload={"other": 1}, idempotency_key="k"))
    await store.queues.put("full", {"max_depth": 1})
    await client.enqueue(NewTask(type="t", queue="full"))
    with pytest.raises(QueueFull) as full:
        await client.enqueue(NewTask(type="t", queue="full"))
    assert full.value.retry_after >= 1
    for call in (client.get, client.history, client.cancel, client.retry):
        with pytest.raises(TaskNotFound):
            await call(UUID(int=1))


async def test_an_unknown_type_is_told_where_types_are_enforced(
    start_api: Start, settings: Settings
) -> None:
    http = await start_api(replace(settings, unknown_types="reject"))
    async with HttpClient(url_of(http)) as client:
        with pytest.raises(UnknownType, match="typo"):
            await client.enqueue(NewTask(type="typo"))


async def test_a_batch_larger_than_a_list_may_be_is_one_batch(
    client: HttpClient, store: Store
) -> None:
    tasks = [NewTask(type="t", payload={"n": n, "x": "é" * 450_000}) for n in range(20)]
    handles = await client.enqueue_many(tasks)
    for n in (0, 19):
        assert (await client.get(handles[n].id)).payload["n"] == n
    assert await store.db.fetchval("SELECT count(DISTINCT xmin::text) FROM tidemill.tasks") == 1
    with pytest.raises(InvalidTask, match="at most 10000"):
        await client.enqueue_many([NewTask(type="t")] * 10_001)
    assert await store.db.fetchval("SELECT count(*) FROM tidemill.tasks") == 20


async def test_a_wait_without_an_end_is_a_timeout(client: HttpClient) -> None:
    handle = await client.enqueue(NewTask(type="t"))
    with pytest.raises(TimeoutError, match=r"has not ended within 0\.2 s"):
        await handle.result(timeout=0.2)


async def test_an_api_that_is_away_is_told_and_an_address_that_is_none_refused() -> None:
    async with HttpClient(f"http://127.0.0.1:{free_port()}") as client:
        with pytest.raises(ApiUnavailable, match="cannot be reached"):
            await client.enqueue(NewTask(type="t"))
    with pytest.raises(ConfigurationError, match="must be http"):
        HttpClient("localhost:8080")


async def test_blocking_code_enqueues_over_http_too(app: App, settings: Settings) -> None:
    async with Worker(app, settings=settings):
        handle = await asyncio.to_thread(lambda: app.tasks["add"].enqueue_sync(a=2, b=2))
        assert await asyncio.to_thread(handle.result_sync) == 4
    app.sync_client.close()
