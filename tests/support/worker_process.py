"""Real worker processes, started as a user would."""

import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.waiting import until
from tidemill.settings import Settings

REPOSITORY = Path(__file__).parents[2]
APP = "tests.support.worker_app:app"


class WorkerProcess:
    """A running `tidemill worker`, with more arguments or variables."""

    def __init__(self, settings: Settings, trace: Path, *arguments: str, **environ: str) -> None:
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - lives as long as the process
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tidemill_cli", "worker", settings.app or APP, *arguments],
            cwd=REPOSITORY,
            env=os.environ
            | {
                "TIDEMILL_DATABASE_URL": settings.database_url,
                "TIDEMILL_LEASE_SECONDS": str(settings.lease_seconds),
                "TIDEMILL_RECOVER_SECONDS": str(settings.recover_seconds),
                "TIDEMILL_DRAIN_SECONDS": str(settings.drain_seconds),
                "TIDEMILL_LOG_FORMAT": "json",
                "TRACE": str(trace),
                **environ,
            },
            stdout=self._log,
            stderr=self._log,
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    def log(self) -> str:
        self._log.flush()
        with Path(f"/proc/self/fd/{self._log.fileno()}").open() as copy:
            return copy.read()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float = 60.0) -> int:
        """Return the exit code."""
        return self.process.wait(seconds)

    def wait_for(self, text: str, seconds: float = 60.0) -> None:
        """Return once the log has `text`; AssertionError when the process ended instead."""

        def logged() -> bool:
            lives = self.process.poll() is None  # asked first: it may end once it has said it
            found = text in self.log()
            assert found or lives, self.log()
            return found

        until(logged, seconds=seconds, what=f"{text!r} in the worker's log")

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._log.close()


@contextmanager
def worker_process(
    settings: Settings, trace: Path, *arguments: str, **environ: str
) -> Iterator[WorkerProcess]:
    """Start a worker process and wait until it works; it is gone at the end."""
    worker = WorkerProcess(settings, trace, *arguments, **environ)
    try:
        worker.wait_for("working on")
        yield worker
    finally:
        worker.close()


def traced(trace: Path) -> Counter[str]:
    """Return how often each `start n` and `end n` was traced, by whatever process."""
    if not trace.exists():
        return Counter()
    return Counter(line.rpartition(" ")[0] for line in trace.read_text().splitlines())
