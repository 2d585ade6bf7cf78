"""Code that cannot await enqueues and waits: from any thread, in forked children, to the end."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.ledger import balance
from tidemill import App, Middleware, NewTask, SyncClient
from tidemill.errors import ConfigurationError, InvalidTask, TaskCancelled, TidemillError
from tidemill.settings import Settings
from tidemill.states import Event, Status
from tidemill.store import Store
from tidemill_worker import Worker

ROOT = Path(__file__).parents[2]
FORKING = """
import os, sys
from tidemill import App

app = App()

@app.task
def send(to: str) -> None: ...

send.enqueue_sync(to="parent")
children = []
for n in range(3):
    pid = os.fork()
    if not pid:
        handle = send.enqueue_sync(to=f"child {n}")
        assert handle.task_sync().payload == {"to": f"child {n}"}
        sys.exit()
    children.append(pid)
send.enqueue_sync(to="parent, with its own connections")
assert [os.waitpid(each, 0)[1] for each in children] == [0, 0, 0]
send.enqueue_sync(to="parent, afterwards")
"""


@pytest.fixture
def app(settings: Settings) -> Iterator[App]:
    made = App(settings=settings)

    @made.task
    def double(n: int) -> int:
        return 2 * n

    yield made
    made.sync_client.close()


def test_the_first_use_of_an_app_may_be_a_blocking_one(app: App) -> None:
    handle = app.tasks["double"].enqueue_sync(n=1)
    assert handle.task_sync().status is Status.QUEUED
    assert handle.cancel_sync().status is Status.CANCELLED
    with pytest.raises(TaskCancelled):
        handle.result_sync()
    assert [each.event_type for each in app.sync_client.history(handle.id)][-1] is (
        Event.TASK_CANCELLED
    )


async def test_results_come_to_all_threads_that_wait(app: App, settings: Settings) -> None:
    def one(n: int) -> int:
        return int(app.tasks["double"].enqueue_sync(n=n).result_sync(timeout=60))

    async with Worker(app, settings=settings):
        with ThreadPoolExecutor(8) as threads:
            loop = asyncio.get_running_loop()
            results = await asyncio.gather(
                *(loop.run_in_executor(threads, one, n) for n in range(40))
            )
    assert results == [2 * n for n in range(40)]


async def test_many_at_once_or_none(app: App, store: Store) -> None:
    def both() -> None:
        double = app.tasks["double"]
        with pytest.raises(InvalidTask, match=r"tasks\[1\]\.payload\.n"):
            double.enqueue_many_sync([{"n": 1}, {"n": "x"}])
        assert len(double.enqueue_many_sync({"n": n} for n in range(5))) == 5

    await asyncio.to_thread(both)
    assert (await balance(store))["queued"] == 5


def test_the_faults_of_one_are_named_by_its_own_fields(app: App) -> None:
    bad = NewTask(type="double", priority=99_999)
    with pytest.raises(InvalidTask, match=r"^priority"):
        app.sync_client.enqueue(bad)
    with pytest.raises(InvalidTask, match=r"^priority"):
        app.tasks["double"].using(priority=99_999).enqueue_sync(n=1)


async def test_in_an_event_loop_it_is_refused_instead_of_blocking(app: App) -> None:
    with pytest.raises(RuntimeError, match="await the method without `_sync`"):
        app.tasks["double"].enqueue_sync(n=1)


def test_a_closed_client_starts_anew(settings: Settings) -> None:
    with SyncClient.of(settings) as client:
        first = client.enqueue(NewTask(type="t"))
    assert client.get(first.id).status is Status.QUEUED
    client.close()
    client.close()


def test_a_call_that_meets_a_close_is_told_and_does_not_hang(settings: Settings) -> None:
    client = SyncClient.of(settings)
    engine = client._started()
    client.close()
    with pytest.raises(TidemillError, match="the client was closed"):
        engine.call(engine.client.close())


def test_a_handle_says_which_of_its_methods_its_client_has(settings: Settings) -> None:
    with SyncClient.of(settings) as client:
        handle = client.enqueue(NewTask(type="t"))
        with pytest.raises(ConfigurationError, match="end in `_sync`"):
            asyncio.run(handle.task())


def test_middleware_is_entered_in_the_calling_thread(settings: Settings) -> None:

    entered: list[int] = []

    class Noting(Middleware):
        def enqueue(self, tasks: Any) -> Any:
            entered.append(threading.get_ident())
            return super().enqueue(tasks)

    app = App(settings=settings, middleware=[Noting()])

    @app.task
    def send() -> None: ...

    send.enqueue_sync()
    app.sync_client.close()
    assert entered == [threading.get_ident()]


async def test_forked_children_have_their_own_connections_and_nobody_warns(
    settings: Settings, store: Store
) -> None:
    ended = await asyncio.to_thread(
        lambda: subprocess.run(
            [sys.executable, "-W", "always", "-W", "ignore::DeprecationWarning", "-c", FORKING],
            env=os.environ | {"TIDEMILL_DATABASE_URL": settings.database_url},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert (await balance(store))["queued"] == 6
