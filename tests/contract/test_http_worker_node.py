"""examples/worker-node: a worker of under 100 lines, against a real API process."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest

from tests.support import ledger, sql_examples, storage
from tests.support.api_process import api_process
from tests.support.worker import finished
from tidemill.models import NewTask, Task
from tidemill.settings import Settings
from tidemill.states import Outcome, Status
from tidemill.store import Store

PROGRAM = Path(__file__).parents[2] / "examples" / "worker-node" / "worker.js"
STOP_SECONDS = 60

Worker = asyncio.subprocess.Process


@asynccontextmanager
async def worker_of(url: str, *, drain: float = 30) -> AsyncIterator[Worker]:
    """Run the program until it has registered; kill it at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        *(str(sql_examples.NODE), str(PROGRAM), "default", "4"),
        env=os.environ | {"TIDEMILL_URL": url, "TIDEMILL_DRAIN_SECONDS": str(drain)},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert (await process.stdout.readline()).startswith(b"worker ")
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.fixture
async def url(settings: Settings) -> AsyncIterator[str]:
    async with api_process(settings) as client:
        yield str(client._base_url).rstrip("/")


async def put(store: Store, kind: str, **said: object) -> UUID:
    fields = {"max_retries": 3, "timeout_seconds": 300.0} | said
    [made] = await store.tasks.enqueue([NewTask(type=kind, **fields)])  # type: ignore[arg-type]  # a test's own
    return made.id


async def task_of(store: Store, task_id: UUID) -> Task:
    task = await store.tasks.get(task_id)
    assert task is not None
    return task


async def until(store: Store, task_id: UUID, holds: Callable[[Task], bool]) -> Task:
    async def seen() -> bool:
        return holds(await task_of(store, task_id))

    await storage.until(seen)
    return await task_of(store, task_id)


def running(task: Task) -> bool:
    return task.status is Status.RUNNING


async def end(worker: Worker, sent: signal.Signals) -> int:
    worker.send_signal(sent)
    async with asyncio.timeout(STOP_SECONDS):
        return await worker.wait()


def test_it_has_under_100_lines_and_needs_nothing_but_node() -> None:
    lines = PROGRAM.read_text().splitlines()
    assert len(lines) < 100
    assert [line for line in lines if "require(" in line or "import " in line] == [
        'const { setTimeout: sleep } = require("node:timers/promises");'
    ]


async def test_it_returns_results_is_retried_and_refuses(url: str, store: Store) -> None:
    counted = await put(store, "word_count", payload={"text": "a tide  mill"})
    never = await put(store, "refuse", payload={"why": "no such address"})
    later = await put(store, "word_count", payload={"text": None}, max_retries=5)
    late = await put(store, "nap", payload={"seconds": 60}, timeout_seconds=0.3, max_retries=0)
    async with worker_of(url) as worker:
        assert (await finished(store, counted)).result == {"words": 3}
        refused = await finished(store, never)
        assert (refused.status, refused.retry_count) == (Status.FAILED, 0)
        assert refused.last_error is not None
        assert (refused.last_error["type"], refused.last_error["message"]) == (
            "Refused",
            "no such address",
        )
        failed = await until(store, later, lambda task: task.retry_count > 0)
        assert failed.last_error is not None
        assert failed.last_error["type"] == "TypeError"
        assert "worker.js" in failed.last_error["traceback"]
        timed_out = await finished(store, late)
        assert (timed_out.last_error or {})["type"] == "TimedOut"
        assert await end(worker, signal.SIGTERM) == 0
    assert await storage.count(store.db, "leases") == 0
    await ledger.balance(store)


async def test_a_cancelled_task_is_stopped(settings: Settings, store: Store) -> None:
    async with api_process(settings, TIDEMILL_HEARTBEAT_SECONDS="0.2") as client:
        task_id = await put(store, "nap", payload={"seconds": 600})
        async with worker_of(str(client._base_url).rstrip("/")):
            await until(store, task_id, running)
            await store.acts.cancel([task_id])
            assert (await finished(store, task_id)).status is Status.CANCELLED
    await ledger.balance(store)


async def test_told_to_stop_it_finishes_or_gives_back_uncharged(url: str, store: Store) -> None:
    long = await put(store, "nap", payload={"seconds": 600})
    async with worker_of(url, drain=1) as worker:
        await until(store, long, running)
        assert await end(worker, signal.SIGTERM) == 0
    back = await task_of(store, long)
    assert (back.status, back.retry_count, back.crash_count) == (Status.QUEUED, 0, 0)
    [info] = await store.db.fetch("SELECT left_at FROM tidemill.workers")
    assert info["left_at"] is not None
    await ledger.balance(store)


async def test_of_two_workers_one_is_killed_and_nothing_is_lost_or_recorded_twice(
    settings: Settings, store: Store
) -> None:
    async with api_process(
        settings, TIDEMILL_LEASE_SECONDS="3", TIDEMILL_RECOVER_SECONDS="0.5"
    ) as client:
        url = str(client._base_url).rstrip("/")
        ids = [await put(store, "nap", payload={"seconds": 0.2}) for _ in range(60)]
        async with worker_of(url) as killed, worker_of(url) as other:
            await until(store, ids[20], lambda task: task.status.final)
            killed.kill()
            for task_id in ids:
                assert (await finished(store, task_id)).status is Status.SUCCEEDED
            assert await end(other, signal.SIGTERM) == 0
    ends = "SELECT count(*) FROM tidemill.attempts WHERE outcome = $1"
    assert await store.db.fetchval(ends, Outcome.SUCCEEDED.value) == 60
    assert (await ledger.balance(store))["succeeded"] == 60
