"""Signals at awkward moments of a worker process's life."""

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from signal import SIGTERM

import pytest

from tests.support.waiting import until
from tests.support.worker_process import WorkerProcess
from tidemill.settings import Settings

SLOW_IMPORT = """
import pathlib, threading
pathlib.Path("importing").touch()
threading.Event().wait()
"""


@pytest.mark.parametrize(("arguments", "code"), [((), 0), (("--burst",), 130)])
def test_sigterm_while_the_app_is_imported_ends_the_process(
    settings: Settings, tmp_path: Path, arguments: tuple[str, ...], code: int
) -> None:
    """The first process of a container would otherwise not notice it, and begin to work."""
    (tmp_path / "slow.py").write_text(SLOW_IMPORT)
    worker = subprocess.Popen(
        [sys.executable, "-m", "tidemill_cli", "worker", "slow:app", *arguments],
        cwd=tmp_path,
        env=os.environ | {"TIDEMILL_DATABASE_URL": settings.database_url},
    )
    try:
        until((tmp_path / "importing").exists, seconds=60, what="the app is imported")
        worker.send_signal(SIGTERM)
        assert worker.wait(60) == code
    finally:
        worker.kill()
        worker.wait()


def test_sigterm_while_it_waits_for_the_database_ends_the_process(
    settings: Settings, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    away = replace(settings, database_url=f"postgresql://x:x@127.0.0.1:{port}/x")
    worker = WorkerProcess(
        away, tmp_path / "trace", TIDEMILL_DATABASE_WAIT_SECONDS="3600", TIDEMILL_LOG_LEVEL="info"
    )
    try:
        worker.wait_for("waiting up to 3600 s for the database")
        worker.signal(SIGTERM)
        assert worker.wait(60) == 0
        assert "working on" not in worker.log()
    finally:
        worker.close()
