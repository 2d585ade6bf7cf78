"""The pytest fixtures, in a suite as a user would write it: any mode of pytest-asyncio, or none."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.support import postgres

CONFTEST = """
from tidemill_worker.testing.fixtures import tidemill_database_url, tidemill_databases

__all__ = ["tidemill_database_url", "tidemill_databases"]
"""
TASKS = """
from tidemill import App

app = App()


@app.task
async def greet(name: str) -> str:
    return f"Hello, {name}!"
"""
TESTS = """
import asyncio
import pytest
import pytest_asyncio
from tasks import app, greet
from tidemill_worker.testing import TestWorker, run_task


@pytest_asyncio.fixture
async def worker(tidemill_database_url):
    async with TestWorker(app, tidemill_database_url) as worker:
        yield worker


@pytest.mark.asyncio
async def test_inline():
    assert await run_task(app, greet, {"name": "Ada"}) == "Hello, Ada!"


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["Ada", "Bob"])
async def test_drained(worker, name):
    await worker.assert_nothing_enqueued()
    await greet.enqueue(name=name)
    [ran] = await worker.drain()
    assert ran.result == f"Hello, {name}!"


def test_without_a_plugin(tidemill_database_url):
    async def work():
        async with TestWorker(app, tidemill_database_url) as worker:
            await greet.enqueue(name="Eve")
            return await worker.drain()

    assert [each.result for each in asyncio.run(work())] == ["Hello, Eve!"]
"""
INI = """
[pytest]
asyncio_mode = {mode}
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""


def suite(folder: Path, mode: str, **environ: str) -> tuple[int, str]:
    """Run the suite; return its process's id and what it printed."""
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "tasks.py").write_text(TASKS)
    (folder / "test_tasks.py").write_text(TESTS)
    (folder / "pytest.ini").write_text(INI.format(mode=mode))
    inherited = {k: v for k, v in os.environ.items() if k != postgres.URL_VARIABLE}
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder,
        env=inherited | environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        printed, _ = process.communicate(timeout=240)
    return process.pid, printed


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_a_suite_of_a_users_own(mode: str, tmp_path: Path, server: postgres.Server) -> None:
    pid, printed = suite(tmp_path, mode, TIDEMILL_TEST_DATABASE_URL=server.url)
    assert "4 passed" in printed, printed
    with psycopg.connect(server.url) as admin:
        left = admin.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE %s", [f"tidemill_test_{pid}_%"]
        ).fetchall()
    assert left == []


def test_without_a_server_it_says_what_to_set(tmp_path: Path) -> None:
    _, printed = suite(tmp_path, "auto")
    assert "TIDEMILL_TEST_DATABASE_URL must be set: the address of any database" in printed
    assert "1 passed" in printed
