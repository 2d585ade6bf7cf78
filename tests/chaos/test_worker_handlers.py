"""Handlers that block, hang and are overtaken, in worker processes as users run them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from signal import SIGCONT, SIGSTOP, SIGTERM

import pytest

from tests.support import ledger
from tests.support.waiting import until
from tests.support.worker import eventually_async
from tests.support.worker_process import traced, worker_process
from tidemill import NewTask
from tidemill.models import Enqueued, Task
from tidemill.settings import Settings
from tidemill.states import Event, Status
from tidemill.store import Store


@pytest.fixture
def short(settings: Settings) -> Settings:
    return replace(settings, lease_seconds=6.0, recover_seconds=0.5, drain_seconds=1.0)


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return tmp_path / "trace"


async def ended(store: Store, stored: Sequence[Enqueued], seconds: float = 60.0) -> list[Task]:
    """Return these tasks once all have ended."""

    async def now() -> list[Task]:
        return [task for each in stored if (task := await store.tasks.get(each.id))]

    async def all_have() -> bool:
        return all(task.status.final for task in await now())

    await eventually_async(all_have, seconds)
    return await now()


async def test_a_handler_that_blocks_the_loop_beyond_the_lease_keeps_its_task(
    store: Store, short: Settings, trace: Path
) -> None:
    payload = {"n": 1, "seconds": 2.5 * short.lease_seconds}
    stored = await store.tasks.enqueue([NewTask(type="block_the_loop", payload=payload)])
    with worker_process(short, trace) as blocked:
        until(lambda: traced(trace)["start 1"] == 1, seconds=60, what="the task runs")
        with worker_process(short, trace):  # it takes back what has expired
            (task,) = await ended(store, stored)
    assert (task.status, task.result, task.retry_count) == (Status.SUCCEEDED, blocked.pid, 0)
    assert traced(trace) == {"start 1": 1, "end 1": 1}


async def test_a_handler_that_blocks_the_loop_for_ever_keeps_its_task_until_its_timeout(
    store: Store, short: Settings, trace: Path
) -> None:
    timeout = short.lease_seconds + 1
    payload = {"n": 1, "seconds": 3600}
    stored = await store.tasks.enqueue(
        [NewTask(type="block_the_loop", payload=payload, timeout_seconds=timeout)]
    )
    with worker_process(short, trace):
        until(lambda: traced(trace)["start 1"] == 1, seconds=60, what="the task runs")
        with worker_process(short, trace) as other:
            (task,) = await ended(store, stored)
    assert (task.status, task.result, task.crash_count) == (Status.SUCCEEDED, other.pid, 1)
    events = {each.event_type: each for each in await store.tasks.history(stored[0].id)}
    started = min(
        each.created_at
        for each in await store.tasks.history(stored[0].id)
        if each.event_type is Event.TASK_STARTED
    )
    assert (events[Event.LEASE_EXPIRED].created_at - started).total_seconds() > timeout


async def test_handlers_that_never_end_are_timed_out_others_go_on_and_the_process_ends(
    store: Store, short: Settings, trace: Path
) -> None:
    """A coroutine that ignores its cancellation, and a function in a thread."""
    hung = await store.tasks.enqueue(
        [
            NewTask(type=kind, payload={"n": n}, timeout_seconds=1, max_retries=0)
            for n, kind in enumerate(("never_ends", "never_returns"))
        ]
    )
    with worker_process(short, trace, TIDEMILL_CONCURRENCY="3") as worker:
        for task in await ended(store, hung):
            assert task.status is Status.FAILED
            assert task.last_error is not None
            assert task.last_error["type"] == "TimedOut"
        others = [NewTask(type="work", payload={"n": n, "seconds": 0}) for n in range(10, 40)]
        done = await ended(store, await store.tasks.enqueue(others))
        assert {task.status for task in done} == {Status.SUCCEEDED}
        worker.signal(SIGTERM)
        assert worker.wait() == 0
        assert worker.log().count("its slot stays taken") == 2
    assert traced(trace)["start 0"] == traced(trace)["start 1"] == 1
    assert (await ledger.balance(store))["failed"] == 2


@pytest.mark.timeout(300)
async def test_handlers_of_a_process_frozen_past_its_lease_are_told_when_it_wakes(
    store: Store, short: Settings, trace: Path
) -> None:
    """One that is cancelled, and one that sees it and returns all the same: it is too late."""
    stored = await store.tasks.enqueue(
        [NewTask(type=kind, payload={"n": n}) for n, kind in enumerate(("is_told", "sees"))]
    )
    with worker_process(short, trace) as frozen:
        until(lambda: len(traced(trace)) == 2, seconds=60, what="both tasks run")
        frozen.signal(SIGSTOP)
        with worker_process(short, trace) as other:
            # frozen amid a transaction it holds its locks: Postgres ends it after a minute
            tasks = await ended(store, stored, seconds=120)
            frozen.signal(SIGCONT)
            told = ("lease_lost 0", "lease_lost 1")
            until(
                lambda: all(traced(trace)[each] for each in told), seconds=60, what="both are told"
            )
            assert [(each.status, each.result) for each in tasks] == [
                (Status.SUCCEEDED, other.pid)
            ] * 2
            other.signal(SIGTERM)
            assert other.wait() == 0
        late = await store.tasks.enqueue([NewTask(type="work", payload={"n": 2, "seconds": 0})])
        assert (await ended(store, late))[0].result == frozen.pid  # it works again
        frozen.signal(SIGTERM)
        assert frozen.wait() == 0
    assert [each.result for each in await ended(store, stored)] == [other.pid] * 2
    assert (await ledger.balance(store))["succeeded"] == 3
