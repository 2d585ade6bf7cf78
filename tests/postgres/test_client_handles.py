"""A handle leads from an enqueue to the result of its task."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import pytest

from tests.support.ledger import balance
from tidemill import App, Client, Discard, NewTask
from tidemill.errors import (
    Conflict,
    InvalidResult,
    InvalidTask,
    TaskCancelled,
    TaskFailed,
    TaskNotFound,
)
from tidemill.settings import Settings
from tidemill.states import Status
from tidemill.store import Store
from tidemill_worker import Worker


@dataclass
class Report:
    pages: int
    made_at: datetime


def _declared(settings: Settings) -> App:
    app = App(settings=settings)

    @app.task
    async def add(a: int, b: int) -> int:
        return a + b

    @app.task
    def report(pages: int) -> Report:
        return Report(pages, datetime(2030, 1, 31, tzinfo=UTC))

    @app.task
    async def fail(why: str) -> None:
        raise Discard(why)

    @app.task
    async def lie() -> int:
        return "no number"  # type: ignore[return-value] # what is tested

    return app


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[App]:
    made = _declared(settings)
    yield made
    await made.client.close()


@pytest.fixture
async def working(app: App, settings: Settings) -> AsyncIterator[App]:
    async with Worker(app, settings=settings):
        yield app


async def test_the_result_is_what_the_type_hint_says(working: App) -> None:
    handle = await working.tasks["add"].enqueue(a=1, b=2)
    assert await handle.result() == 3
    made = await working.tasks["report"].enqueue(pages=7)
    assert await made.result() == Report(7, datetime(2030, 1, 31, tzinfo=UTC))
    assert (await made.task()).result == {"pages": 7, "made_at": "2030-01-31T00:00:00Z"}


async def test_a_failure_is_raised_with_its_type_message_and_attempts(working: App) -> None:
    handle = await working.tasks["fail"].enqueue(why="no such customer")
    with pytest.raises(TaskFailed, match=r"after 1 attempt: Discard: no such customer") as failed:
        await handle.result()
    assert (failed.value.type, failed.value.attempts) == ("Discard", 1)
    assert "Discard" in failed.value.traceback


async def test_a_result_that_is_not_what_the_hint_says_is_told(working: App) -> None:
    handle = await working.tasks["lie"].enqueue()
    with pytest.raises(InvalidResult, match="lie left a result that is not what"):
        await handle.result()


async def test_a_cancelled_task_has_no_result_and_is_cancelled_once(app: App) -> None:
    handle = await app.tasks["add"].enqueue(a=1, b=2)
    assert (await handle.cancel()).status is Status.CANCELLED
    with pytest.raises(TaskCancelled, match=str(handle.id)):
        await handle.result()
    with pytest.raises(Conflict, match="is cancelled"):
        await handle.cancel()


async def test_a_task_that_does_not_end_is_a_timeout_and_one_that_is_gone_not_found(
    app: App, store: Store
) -> None:
    handle = await app.tasks["add"].enqueue(a=1, b=2)
    with pytest.raises(TimeoutError, match=r"has not ended within 0\.1 s"):
        await handle.result(timeout=0.1)
    await store.acts.delete([handle.id])
    with pytest.raises(TaskNotFound):
        await handle.result()


async def test_many_are_enqueued_together_or_not_at_all(working: App, store: Store) -> None:
    add = working.tasks["add"]
    with pytest.raises(InvalidTask, match=r"tasks\[1\]\.payload\.a.*tasks\[2\]\.payload\.b"):
        await add.enqueue_many([{"a": 1, "b": 1}, {"a": "x", "b": 1}, {"a": 1}])
    assert (await balance(store))["queued"] == 0
    handles = await add.enqueue_many({"a": n, "b": n} for n in range(50))
    results = await asyncio.gather(*(each.result() for each in handles))
    assert results == [2 * n for n in range(50)]
    assert await add.enqueue_many([]) == []


async def test_tasks_without_their_handler_are_enqueued_by_name(working: App) -> None:
    first, second = await working.client.enqueue_many(
        [NewTask(type="add", payload={"a": n, "b": 1}) for n in (1, 2)]
    )
    assert [await first.result(), await second.result()] == [2, 3]


async def test_all_who_wait_are_looked_for_by_one_statement(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    handles = await client.enqueue_many([NewTask(type="t") for _ in range(20)])
    looks: list[int] = []
    look = client._waiting._look

    async def counted(ids: tuple[UUID, ...]) -> object:
        looks.append(len(ids))
        return await look(ids)

    monkeypatch.setattr(client._waiting, "_look", counted)
    waiting = [asyncio.create_task(each.result()) for each in handles]
    while 20 not in looks:  # noqa: ASYNC110 - seen from outside
        await asyncio.sleep(0.01)
    for each in handles:
        await each.cancel()
    ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(end) for end in ends} == {TaskCancelled}
    assert not client._waiting._waiters


async def test_what_goes_wrong_while_waiting_is_raised_to_those_who_wait(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_ids: tuple[UUID, ...]) -> object:
        raise KeyError("column")

    monkeypatch.setattr(client._waiting, "_look", broken)
    handle = await client.enqueue(NewTask(type="t"))
    with pytest.raises(KeyError, match="column"):
        await handle.result()
