"""`tidemill worker --reload`: it starts again when code changes."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM

import pytest

from tests.support.waiting import until
from tidemill.settings import Settings

APP = """
from tidemill import App

app = App()

@app.task
async def {task}() -> None: ...
"""


class Reloading:
    """A `tidemill worker --reload` on an app in a folder of its own."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - lives as long as the process
        self.write("first")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tidemill_cli", "worker", "changing:app", "--reload"],
            cwd=folder,
            env=os.environ
            | {
                "TIDEMILL_DATABASE_URL": settings.database_url,
                "TIDEMILL_LOG_FORMAT": "text",
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            stdout=self._log,
            stderr=self._log,
        )

    def write(self, task: str) -> None:
        (self.folder / "changing.py").write_text(APP.format(task=task))

    def log(self) -> str:
        with Path(f"/proc/self/fd/{self._log.fileno()}").open() as copy:
            return copy.read()

    def wait_for(self, text: str, what: str) -> None:
        def logged() -> bool:
            assert self.process.poll() is None, self.log()
            return text in self.log()

        until(logged, seconds=60, what=f"{what}: {text!r} in the log")

    def workers(self) -> list[int]:
        """Return the process ids of workers on this folder's app, but for the watching one."""
        found: list[int] = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                here = (entry / "cwd").resolve() == self.folder.resolve()
            except OSError:
                continue
            if here and b"changing:app" in words and int(entry.name) != self.process.pid:
                found.append(int(entry.name))
        return found

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        until(lambda: not self.workers(), seconds=60, what="no worker is left")
        self._log.close()


@pytest.fixture
def reloading(tmp_path: Path, settings: Settings) -> Iterator[Reloading]:
    started = Reloading(tmp_path, settings)
    yield started
    started.close()


def test_a_change_starts_the_worker_again_with_the_new_code(reloading: Reloading) -> None:
    reloading.wait_for("slots: first", "the worker works")
    reloading.write("second")
    reloading.wait_for("starting again: changing.py changed", "the change is seen")
    reloading.wait_for("slots: second", "the new code works")
    until(lambda: len(reloading.workers()) == 1, seconds=60, what="one worker is left")
    reloading.process.send_signal(SIGTERM)
    assert reloading.process.wait(60) == 0
    assert "stopped: 0 tasks" in reloading.log()


def test_code_that_cannot_be_loaded_waits_for_the_next_change(reloading: Reloading) -> None:
    reloading.wait_for("slots: first", "the worker works")
    (reloading.folder / "changing.py").write_text("app = (")
    reloading.wait_for("it starts again at the next change", "the end is told")
    assert re.search(r"tidemill: .*SyntaxError", reloading.log())
    reloading.write("mended")
    reloading.wait_for("slots: mended", "the mended code works")
    reloading.process.send_signal(SIGINT)
    assert reloading.process.wait(60) == 0


def test_a_killed_watcher_leaves_no_worker_behind(reloading: Reloading) -> None:
    reloading.wait_for("slots: first", "the worker works")
    reloading.process.send_signal(SIGKILL)
    reloading.process.wait()
    until(lambda: not reloading.workers(), seconds=60, what="the worker ends too")


def test_without_watchfiles_it_says_what_to_install(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "watchfiles.py").write_text("raise ImportError")
    (tmp_path / "changing.py").write_text(APP.format(task="task"))
    ended = subprocess.run(
        [sys.executable, "-m", "tidemill_cli", "worker", "changing:app", "--reload"],
        cwd=tmp_path,
        env=os.environ | {"TIDEMILL_DATABASE_URL": settings.database_url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert "needs the package watchfiles: pip install 'tidemill[reload]'" in ended.stderr
