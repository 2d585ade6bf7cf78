"""The programs of examples/, run as their headers say."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tests.support.waiting import until

REPOSITORY = Path(__file__).parents[2]
LONGEST_SECONDS = 90


def environment(url: str) -> dict[str, str]:
    """Return a user's environment: that database, and no settings of ours."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("TIDEMILL_")}
    return inherited | {"TIDEMILL_DATABASE_URL": url, "PYTHONWARNINGS": "error::ResourceWarning"}


def run(url: str, *arguments: str, cwd: Path = REPOSITORY) -> str:
    """Run Python with `arguments` to its end and return what it printed; it must succeed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment(url),
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{arguments}\n{done.stdout}{done.stderr}"
    assert "Warning" not in done.stderr, done.stderr
    return done.stdout


@contextmanager
def worker(url: str, app: str, *, cwd: Path = REPOSITORY) -> Generator[None]:
    """Run `tidemill worker` meanwhile. It drains at the end, and must have nothing to complain."""
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tidemill_cli", "worker", app],
            cwd=cwd,
            env=environment(url),
            stdout=log,
            stderr=log,
        )
        try:
            yield
            # a program that needed no worker may be faster than its start, which a signal would end
            until(
                lambda: "working on" in _text(log) or process.poll() is not None,
                seconds=LONGEST_SECONDS,
                what="the worker has started",
            )
            process.send_signal(signal.SIGTERM)
            assert process.wait(LONGEST_SECONDS) == 0
        except BaseException as error:
            error.add_note(f"the worker's log:\n{_text(log)}")
            raise
        finally:
            process.kill()
            process.wait()


def _text(log: IO[str]) -> str:
    """Return what is in the file, past whose end the worker goes on writing."""
    with Path(f"/proc/self/fd/{log.fileno()}").open() as copy:
        return copy.read()
