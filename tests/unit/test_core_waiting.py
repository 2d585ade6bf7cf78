"""Those who wait for tasks: one poller, which asks ever less often and outlives the database."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from tidemill import waiting
from tidemill.errors import DatabaseUnavailable, TaskNotFound, TidemillError
from tidemill.models import Task
from tidemill.states import Status
from tidemill.waiting import Waiting

NOW = datetime(2030, 1, 31, tzinfo=UTC)
FAR_SECONDS = 60.0


class Tasks:
    """What can be asked for, and what was."""

    def __init__(self) -> None:
        self.ended: dict[UUID, Task | None] = {}
        self.asked: list[int] = []
        self.errors: list[Exception] = []

    async def look(self, ids: Sequence[UUID]) -> dict[UUID, Task | None]:
        self.asked.append(len(ids))
        if self.errors:
            raise self.errors.pop(0)
        return {each: self.ended[each] for each in ids if each in self.ended}


def task(task_id: UUID) -> Task:
    return Task(
        id=task_id, name=None, type="t", queue="q", status=Status.SUCCEEDED, priority=0, payload={},
        headers=None, idempotency_key=None, retry=None, retry_count=0, crash_count=0, max_retries=3,
        timeout_seconds=300, created_at=NOW, run_at=NOW, expires_at=None, started_at=NOW,
        completed_at=NOW, worker_id=1, cancel_requested_at=None, last_error=None, result=1,
    )  # fmt: skip


@pytest.fixture
async def tasks() -> Tasks:
    return Tasks()


@pytest.fixture
async def waiters(tasks: Tasks, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Waiting]:
    monkeypatch.setattr(waiting, "SHORTEST_SECONDS", 0.001)
    monkeypatch.setattr(waiting, "LONGEST_SECONDS", 0.01)
    made = Waiting(tasks.look)
    yield made
    await made.close()


async def test_all_who_wait_for_a_task_get_it(waiters: Waiting, tasks: Tasks) -> None:
    one = uuid4()
    both = [asyncio.create_task(waiters.wait(one, FAR_SECONDS)) for _ in range(2)]
    await asyncio.sleep(0)
    tasks.ended[one] = task(one)
    assert await asyncio.gather(*both) == [task(one)] * 2
    assert set(tasks.asked) == {1}


async def test_a_database_that_is_away_is_asked_again(waiters: Waiting, tasks: Tasks) -> None:
    one = uuid4()
    tasks.errors = [DatabaseUnavailable("away"), DatabaseUnavailable("away")]
    tasks.ended[one] = task(one)
    assert await waiters.wait(one, FAR_SECONDS) == task(one)
    assert not tasks.errors


async def test_a_timeout_tells_what_was_wrong_with_the_database(
    waiters: Waiting, tasks: Tasks
) -> None:
    tasks.errors = [DatabaseUnavailable("away")] * 10_000
    with pytest.raises(TimeoutError, match="the last look failed: away"):
        await waiters.wait(uuid4(), 0.2)


async def test_other_errors_are_raised_to_all_who_wait(waiters: Waiting, tasks: Tasks) -> None:
    tasks.errors = [KeyError("column")]
    both = [asyncio.create_task(waiters.wait(uuid4(), FAR_SECONDS)) for _ in range(2)]
    found = await asyncio.gather(*both, return_exceptions=True)
    assert [type(each) for each in found] == [KeyError, KeyError]


async def test_without_any_time_there_is_one_look(waiters: Waiting, tasks: Tasks) -> None:
    one = uuid4()
    with pytest.raises(TimeoutError, match="has not ended"):
        await waiters.wait(one, 0)
    tasks.ended[one] = task(one)
    assert await waiters.wait(one, 0) == task(one)
    assert tasks.asked == [1, 1]


async def test_a_task_that_does_not_exist_is_not_found(waiters: Waiting, tasks: Tasks) -> None:
    one = uuid4()
    tasks.ended[one] = None
    with pytest.raises(TaskNotFound, match=str(one)):
        await waiters.wait(one, None)


async def test_nothing_is_asked_once_nobody_waits(waiters: Waiting, tasks: Tasks) -> None:
    gone = asyncio.create_task(waiters.wait(uuid4(), FAR_SECONDS))
    while not tasks.asked:  # noqa: ASYNC110 - seen from outside
        await asyncio.sleep(0)
    gone.cancel()
    poller = waiters._poller
    assert poller is not None
    await asyncio.wait_for(asyncio.gather(poller, gone, return_exceptions=True), FAR_SECONDS)
    one = uuid4()
    tasks.ended[one] = task(one)
    assert await waiters.wait(one, FAR_SECONDS) == task(one)


async def test_a_statement_asks_for_so_many_tasks_at_most(
    waiters: Waiting, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "BATCH", 10)
    ids = [uuid4() for _ in range(25)]
    tasks.ended = {each: task(each) for each in ids}
    await asyncio.gather(*(waiters.wait(each, FAR_SECONDS) for each in ids))
    assert max(tasks.asked) == 10
    assert sum(tasks.asked[:3]) == 25


async def test_whoever_waits_at_the_close_is_told(waiters: Waiting) -> None:
    still = asyncio.create_task(waiters.wait(uuid4(), FAR_SECONDS))
    await asyncio.sleep(0)
    await waiters.close()
    with pytest.raises(TidemillError, match="the client was closed"):
        await still
