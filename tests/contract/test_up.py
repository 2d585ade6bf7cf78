"""`tidemill up`: everything starts, what dies comes back, everything stops, faults are one line."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import up as support
from tests.support.postgres import Server
from tests.support.up import RunningUp, running_up
from tests.support.waiting import until
from tidemill.client import Client
from tidemill.models import NewTask
from tidemill.settings import Settings
from tidemill_cli.local.postgres import free_port

pytestmark = pytest.mark.usefixtures("server")  # its skip, where no Postgres can be had


@pytest.fixture
def up(open_folder: Path) -> Iterator[RunningUp]:
    with running_up(open_folder) as running:
        running.wait_until_ready()
        yield running


@pytest.fixture
def light_up(open_folder: Path, server: Server) -> Iterator[RunningUp]:
    """One on the session's server: quicker, for tests that are not about its own Postgres."""
    name = server.database()
    with running_up(open_folder, "--database-url", server.url_of(name)) as running:
        running.wait_until_ready()
        yield running
    server.drop(name)


def refusal(*arguments: str, **variables: str) -> tuple[int, str]:
    """Return exit code and stderr of a `tidemill` that must refuse to run."""
    ended = subprocess.run(
        [sys.executable, "-m", "tidemill_cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | variables,
    )
    assert ended.stderr.count("\n") == 1, ended.stderr
    return ended.returncode, ended.stderr


def test_a_task_runs_and_ctrl_c_leaves_nothing(up: RunningUp) -> None:
    task = up.enqueue("add", left=1, right=2)
    assert up.succeeded(task)["result"] == 3
    with pytest.raises(OSError, match="400"):
        up.enqueue("no_such_type")
    below = up.processes()
    assert len(below) >= 3, below  # Postgres, API, a worker
    assert up.end(signal.SIGINT) == 0, up.output
    support.gone(below)
    assert not support.port_answers(up.port)
    assert "curl -s" in up.output


async def test_python_gets_in_by_what_the_banner_says(up: RunningUp) -> None:
    told = dict(re.findall(r"(TIDEMILL_DATABASE_\w+)=(\S+)", up.output))
    assert sorted(told) == ["TIDEMILL_DATABASE_PASSWORD_FILE", "TIDEMILL_DATABASE_URL"]
    async with Client.of(Settings.load(told)) as client:
        stored = await client.enqueue(NewTask(type="add", payload={"left": 1, "right": 1}))
    assert up.succeeded(str(stored.id))["result"] == 2


def test_sigterm_stops_it_too_and_the_data_stays(up: RunningUp) -> None:
    task = up.enqueue("add", left=20, right=22)
    up.succeeded(task)
    assert up.end(signal.SIGTERM) == 0, up.output
    with running_up(up.folder) as again:
        again.wait_until_ready()
        assert again.task(task)["result"] == 42


def test_a_killed_worker_comes_back_and_its_task_runs_again_at_once(light_up: RunningUp) -> None:
    up = light_up
    path = up.folder / "go"
    started = up.folder / "go.started"
    task = up.enqueue("wait_for", path=str(path))
    until(started.exists, seconds=60, what="the task runs")
    first = int(started.read_text())
    os.kill(first, signal.SIGKILL)
    # The lease is 30 s: only the recovery by the parent can be quicker.
    until(lambda: int(started.read_text() or 0) != first, seconds=20, what="it runs again")
    path.touch()
    up.succeeded(task)
    history = [each["event_type"] for each in up.call("GET", f"/api/tasks/{task}/history")]
    assert history.count("lease_expired") == 1, history
    until(lambda: up.output.count("registered as worker") >= 2, seconds=60, what="a new worker")
    assert "was killed by SIGKILL" in up.output


def test_a_killed_postgres_comes_back(up: RunningUp) -> None:
    before = up.succeeded(up.enqueue("add", left=1, right=1))
    server = next(pid for pid, command in up.processes().items() if "/postgres -D" in command)
    os.kill(server, signal.SIGKILL)
    until(lambda: "starting it again" in up.output, seconds=60, what="it is missed")

    def answers() -> bool:
        try:
            return bool(up.task(before["id"])["status"] == "succeeded")
        except OSError:
            return False

    until(answers, seconds=60, what="the API reads from it")
    up.succeeded(up.enqueue("add", left=2, right=2))


def test_a_second_signal_does_not_wait_for_tasks(light_up: RunningUp) -> None:
    up = light_up
    up.enqueue("wait_for", path=str(up.folder / "never"))
    until((up.folder / "never.started").exists, seconds=60, what="the task runs")
    below = up.processes()
    up.process.send_signal(signal.SIGINT)
    up.process.send_signal(signal.SIGTERM)  # at the same moment: one wish, not two
    until(lambda: "stopping: workers finish" in up.output, seconds=60, what="it drains")

    def ended() -> bool:
        up.process.send_signal(signal.SIGINT)
        return up.process.poll() is not None

    until(ended, seconds=60, what="it ends although a task runs")
    assert up.process.returncode == 130, up.output
    support.gone(below)


def test_what_runs_at_a_second_signal_is_given_back_uncharged(up: RunningUp) -> None:
    task = up.enqueue("wait_for", path=str(up.folder / "later"))
    until((up.folder / "later.started").exists, seconds=60, what="the task runs")
    up.process.send_signal(signal.SIGINT)
    until(lambda: "stopping: workers finish" in up.output, seconds=60, what="it drains")
    time.sleep(0.6)  # signals that come closer together are one wish
    up.process.send_signal(signal.SIGINT)
    until(lambda: up.process.poll() is not None, seconds=60, what="it ends although a task runs")
    assert up.process.returncode == 130, up.output
    (up.folder / "later").touch()
    with running_up(up.folder) as again:
        again.wait_until_ready()
        ended = again.succeeded(task)
    assert (ended["crash_count"], ended["retry_count"]) == (0, 0)


def test_a_killed_up_takes_everything_with_it(up: RunningUp) -> None:
    below = up.processes()
    assert up.end(signal.SIGKILL) == -signal.SIGKILL
    support.gone(below)


def test_a_given_database_is_used_and_left_running(tmp_path: Path, server: Server) -> None:
    name = server.database()
    try:
        with running_up(tmp_path, "--database-url", server.url_of(name)) as up:
            up.wait_until_ready()
            up.succeeded(up.enqueue("add", left=1, right=2))
            assert not (tmp_path / "data").exists()
            assert up.end(signal.SIGHUP) == 0, up.output
        until(lambda: server.sessions(name) == 0, seconds=60, what="no session is left behind")
    finally:
        server.drop(name)


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "mymodule.py").write_text(support.APP)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, line = refusal(*support.arguments(port, tmp_path / "data"), PYTHONPATH=str(tmp_path))
    assert code == 2
    assert f"port {port} of 127.0.0.1 cannot be used: Address already in use" in line
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("app", ["no_such_module:app", "mymodule:nothing", "no_such_module"])
def test_a_missing_app_is_one_line(tmp_path: Path, app: str) -> None:
    (tmp_path / "mymodule.py").write_text(support.APP)
    code, line = refusal("up", "--app", app, PYTHONPATH=str(tmp_path))
    assert code == 2
    assert app in line


def test_an_unreachable_database_is_one_line_without_its_password(tmp_path: Path) -> None:
    (tmp_path / "mymodule.py").write_text(support.APP)
    url = f"postgresql://me:hidden@127.0.0.1:{free_port()}/tasks"
    options = ("--database-url", url, "--port", str(free_port()))
    code, line = refusal("up", "--app", "mymodule:app", *options, PYTHONPATH=str(tmp_path))
    assert code == 3
    assert "the database cannot be used" in line
    assert "hidden" not in line


def test_a_folder_in_use_is_one_line(up: RunningUp) -> None:
    folder = up.folder / "data"
    arguments = support.arguments(free_port(), folder)
    code, line = refusal(*arguments, PYTHONPATH=str(up.folder))
    assert code == 2
    assert f"{folder}: another `tidemill up` is using this folder" in line
