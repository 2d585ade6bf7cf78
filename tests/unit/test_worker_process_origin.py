"""How a new process finds the handlers: by the app's name, by modules, in the main program."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.support import closed_app, process_app
from tidemill import App
from tidemill.errors import ConfigurationError
from tidemill_worker.processes import pool as pool_module
from tidemill_worker.processes import process as process_module
from tidemill_worker.processes.origin import find, origin_of
from tidemill_worker.processes.pool import Processes

SHOP = """
    import asyncio, os, uuid
    from tidemill import App, Context
    from tests.support.worker import claimed, run_of
    from tidemill_worker.processes.pool import Processes

    app = App()

    @app.task(isolation="process")
    def price(of: str) -> list:
        return [len(of), os.getpid()]

    async def main():
        pool = Processes(app.tasks.values(), app="")
        await pool.start()
        run = run_of(claimed("price", payload={"of": "tea"}))
        ended = await pool.run(app.tasks["price"], run, Context(id=uuid.uuid4(), type="price"))
        await pool.close()
        assert ended.value[0] == 3 and ended.value[1] != os.getpid(), ended
        print("priced")

    if __name__ == "__main__":
        asyncio.run(main())
"""


def ran(*arguments: str, folder: Path, code: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program of its own that finds this repository."""
    here = str(Path(__file__).parents[2])
    return subprocess.run(
        [sys.executable, *arguments],
        input=code,
        cwd=folder,
        env={"PYTHONPATH": here, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_handlers_are_found_by_the_apps_name() -> None:
    tasks = process_app.app.tasks
    found = find(origin_of(tasks.values(), "tests.support.process_app:app"))
    assert found == dict(tasks)


def test_handlers_are_found_by_the_modules_that_declare_them() -> None:
    origin = origin_of([process_app.where, process_app.eat], "")
    assert origin["modules"] == ["tests.support.process_app"]
    assert find(origin) == {"where": process_app.where, "eat": process_app.eat}


def test_a_program_run_by_its_path_may_declare_its_handlers_itself(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(textwrap.dedent(SHOP))
    done = ran("shop.py", folder=tmp_path)
    assert (done.stdout, done.stderr) == ("priced\n", "")


def test_a_program_run_as_a_module_may_declare_its_handlers_itself(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__main__.py").write_text(textwrap.dedent(SHOP))
    done = ran("-m", "shop", folder=tmp_path)
    assert (done.stdout, done.stderr) == ("priced\n", "")


def test_handlers_of_an_interactive_session_are_refused_with_the_reason(tmp_path: Path) -> None:
    done = ran("-", folder=tmp_path, code=textwrap.dedent(SHOP))
    assert "ConfigurationError" in done.stderr
    assert "they are in an interactive session" in done.stderr


async def test_a_handler_that_no_other_process_can_find_is_refused_at_the_start() -> None:
    app = App()

    @app.task(isolation="process")
    def local() -> None: ...

    pool = Processes(app.tasks.values(), app="")
    with pytest.raises(ConfigurationError, match="must include task 'local'"):
        await pool.start()
    await pool.close()


async def test_an_app_that_cannot_be_imported_there_is_refused_at_the_start() -> None:
    pool = Processes(process_app.app.tasks.values(), app="nowhere.to_be:found")
    with pytest.raises(ConfigurationError, match="no module named 'nowhere'"):
        await pool.start()
    assert len(pool) == 0


async def test_a_resource_that_does_not_open_there_is_refused_at_the_start() -> None:
    pool = Processes(closed_app.app.tasks.values(), app="tests.support.closed_app:app")
    with pytest.raises(ConfigurationError, match="drawer: opening it failed: OSError: stuck"):
        await pool.start()


async def test_a_process_that_does_not_start_in_time_is_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process_module, "START_SECONDS", 0.0)
    pool = Processes(process_app.app.tasks.values(), app="tests.support.process_app:app")
    with pytest.raises(ConfigurationError, match="the first process did not start within 0 s"):
        await pool.start()


async def test_without_such_handlers_no_process_is_started() -> None:
    pool = pool_module.Processes([], app="")
    await pool.start()
    assert len(pool) == 0
    await pool.close()
