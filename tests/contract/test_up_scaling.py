"""`tidemill up` has as many workers as the queues need, says why, and stops nobody who works."""

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support import up as support
from tests.support.postgres import Server, settings_of
from tests.support.up import RunningUp, running_up
from tests.support.waiting import until
from tidemill.db import Database
from tidemill.models import WorkerInfo
from tidemill.store import Store
from tidemill_cli.__main__ import run

APP = """\
import asyncio
import os
import pathlib
from tidemill import App

app = App()

@app.task
async def hold(path: str) -> int:
    while not pathlib.Path(path).exists():
        await asyncio.sleep(0.05)
    return os.getpid()
"""
PATIENCE = 120.0

Start = Callable[..., RunningUp]


@pytest.fixture
def database(server: Server) -> Iterator[str]:
    name = server.database()
    yield server.url_of(name)
    server.drop(name)


@pytest.fixture
def start(open_folder: Path, database: str) -> Iterator[Start]:
    """Start an up whose workers run one task each; all end with the test."""
    with ExitStack() as stack:

        def started(*more: str) -> RunningUp:
            words = ("--database-url", database, "--concurrency", "1", *more)
            up = stack.enter_context(running_up(open_folder, *words, app=APP))
            up.wait_until_ready()
            return up

        yield started


def workers(up: RunningUp) -> int:
    return sum("tidemill_cli worker" in command for command in up.processes().values())


def said(up: RunningUp, words: str) -> None:
    until(lambda: words in up.output, seconds=PATIENCE, what=words)


def test_workers_come_with_the_tasks_and_go_when_they_are_idle(
    start: Start, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    up = start("--max-workers", "3")
    until(lambda: workers(up) == 1, seconds=PATIENCE, what="the first worker")
    go, last = up.folder / "go", up.folder / "last"
    kept = up.enqueue("hold", path=str(last))
    tasks = [up.enqueue("hold", path=str(go)) for _ in range(12)]
    said(up, " -> 3: ")
    until(lambda: workers(up) == 3, seconds=PATIENCE, what="three workers")
    go.touch()
    for each in tasks:
        up.succeeded(each, seconds=PATIENCE)
    # One is still at work: it stays, whoever it is, and all the others may go.
    until(lambda: workers(up) == 1, seconds=PATIENCE, what="the idle ones leave")
    assert up.task(kept)["status"] == "running"
    last.touch()
    done = up.succeeded(kept)
    events = [each["event_type"] for each in up.call("GET", f"/api/tasks/{kept}/history")]
    assert events.count("task_started") == 1, (events, done)
    assert "starting it again" not in up.output

    assert run(["explain", "default", "--history", "50", "--database-url", database]) == 0
    told = capsys.readouterr().out
    assert "all queues that no TaskQueue names (up/" in told
    assert "tasks at 5 a replica call for 3" in told
    assert len(up.call("GET", "/api/queues/default/scaling")["decisions"]) >= 2


def test_ctrl_c_while_workers_come_leaves_nobody(start: Start) -> None:
    up = start("--max-workers", "4")
    for _ in range(30):
        up.enqueue("hold", path=str(up.folder / "go"))
    below = up.processes()
    said(up, " -> 4: ")
    (up.folder / "go").touch()  # so that what runs can end
    assert up.end(signal.SIGINT) == 0, up.output
    support.gone(below | up.processes())
    assert "Traceback" not in up.output


def test_as_many_as_were_asked_for_stay(start: Start) -> None:
    up = start("--workers", "2")
    until(lambda: workers(up) == 2, seconds=PATIENCE, what="two workers")
    go = up.folder / "go"
    tasks = [up.enqueue("hold", path=str(go)) for _ in range(20)]
    go.touch()
    for each in tasks:
        up.succeeded(each)
    assert workers(up) == 2
    assert "up        | workers" not in up.output
    assert up.call("GET", "/api/queues/default/scaling")["decisions"] == []


async def test_workers_elsewhere_count_too(start: Start, database: str) -> None:
    up = start("--max-workers", "4")
    db = Database.of(settings_of(database), application="tests", pool_size=1)
    try:
        store = Store.of(db)
        other = await store.workers.register(
            WorkerInfo(
                name="other", slots=1, queues=("*",), version="1", hostname="elsewhere", pid=1
            )
        )
        go = up.folder / "go"
        for _ in range(10):  # two workers at 5 tasks each: ours, and the one elsewhere
            up.enqueue("hold", path=str(go))

        def decided(words: str) -> Callable[[], bool]:
            def look() -> bool:
                newest = up.call("GET", "/api/queues/default/scaling")["decisions"][:1]
                return any(words in each["reason"] for each in newest)

            return look

        until(decided("call for 2"), seconds=PATIENCE, what="the need is known")
        assert "up        | workers" not in up.output
        await store.workers.leave(other)
        said(up, " -> 2: ")
        go.touch()
    finally:
        await db.close()
