"""`tidemill up` as a process of a test: start it, speak with it, see what it leaves behind."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.waiting import until
from tidemill_cli.local.postgres import free_port

START_SECONDS = 60.0

APP = """\
import asyncio
from tidemill import App

app = App()

@app.task
async def add(left: int, right: int) -> int:
    return left + right

@app.task
async def wait_for(path: str) -> str:
    import os, pathlib
    pathlib.Path(path + ".started").write_text(str(os.getpid()))
    while not pathlib.Path(path).exists():
        await asyncio.sleep(0.02)
    return "seen"
"""


@dataclass
class RunningUp:
    """A started `tidemill up`. `folder` holds the app `mymodule`, its data and its output."""

    process: subprocess.Popen[bytes]
    port: int
    folder: Path

    @property
    def output(self) -> str:
        return (self.folder / "output").read_text()

    def wait_until_ready(self) -> None:
        def ready() -> bool:
            assert self.process.poll() is None, self.output
            return "Tidemill is ready" in self.output

        until(ready, seconds=START_SECONDS, what="tidemill up is ready")

    def call(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data,
            {"Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(asked, timeout=60) as answer:  # noqa: S310 - as above
            return json.load(answer)

    def enqueue(self, type_: str, **payload: object) -> str:
        task_id: str = self.call("POST", "/api/tasks", {"type": type_, "payload": payload})["id"]
        return task_id

    def task(self, task_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", f"/api/tasks/{task_id}")
        return found

    def succeeded(self, task_id: str, *, seconds: float = 60) -> dict[str, Any]:
        until(
            lambda: self.task(task_id)["status"] == "succeeded",
            seconds=seconds,
            what=f"{task_id} succeeds",
        )
        return self.task(task_id)

    def processes(self) -> dict[int, str]:
        """All processes below it: their ids and command lines."""
        return descendants(self.process.pid)

    def end(self, how: signal.Signals, *, seconds: float = 90) -> int:
        self.process.send_signal(how)
        return self.process.wait(seconds)


def arguments(port: int, folder: Path, *more: str) -> list[str]:
    """Return the options of an `up` in `folder`."""
    return ["up", "--app", "mymodule:app", "--port", str(port), "--data-dir", str(folder), *more]


@contextmanager
def running_up(
    folder: Path,
    *more: str,
    program: Sequence[str] = (sys.executable, "-m", "tidemill_cli"),
    app: str = APP,
    environment: Mapping[str, str] = os.environ,
) -> Generator[RunningUp]:
    """Yield an `up` on a free port; whatever is left of it in the end is killed."""
    (folder / "mymodule.py").write_text(app)
    port = free_port()
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [*program, *arguments(port, folder / "data", *more)],
            stdout=output,
            stderr=output,
            cwd=folder,
            env={**environment, "TIDEMILL_DRAIN_SECONDS": "30"},
        )
    up = RunningUp(process, port, folder)
    left: dict[int, str] = {}
    try:
        yield up
        left = up.processes()
    finally:
        for pid in {**left, **up.processes()}:
            os.kill(pid, signal.SIGKILL)
        process.kill()
        process.wait()


def descendants(pid: int) -> dict[int, str]:
    """Return the processes below `pid`."""
    told = subprocess.run(
        ["ps", "-axww", "-o", "pid=,ppid=,command="], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split(None, 2) for line in told.splitlines()]
    found: dict[int, str] = {}
    below = {pid}
    while below:
        next_below = {int(row[0]): row[2] for row in rows if int(row[1]) in below}
        found |= next_below
        below = set(next_below)
    return found


def gone(processes: dict[int, str], *, seconds: float = 60) -> None:
    """Wait until none of these processes lives."""

    def living() -> dict[int, str]:
        return {pid: command for pid, command in processes.items() if _lives(pid)}

    until(lambda: not living(), seconds=seconds, what=f"the end of {processes}")


def _lives(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self").exists():
            return False
        stat = ""
    if stat == "Z":
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def port_answers(port: int) -> bool:
    """Whether anything speaks HTTP on `port`."""
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True
