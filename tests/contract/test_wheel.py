"""The built wheel alone, in an empty environment outside the repository, with a user's module."""

import os
import signal
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from tests.support import up as support
from tests.support.up import running_up

ROOT = Path(__file__).parents[2]
APP = """\
from tidemill import App

app = App()


@app.task(max_retries=1)
async def greet(name: str, times: int = 1) -> str:
    return f"Hello, {name}! " * times
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree, built as `make build` does."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), ".")
    (built,) = folder.glob("*.whl")
    return built


def run(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def test_the_wheel_holds_all_that_is_read_at_run_time(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    packages = {"tidemill", "tidemill_api", "tidemill_worker", "tidemill_operator", "tidemill_cli"}
    assert {top for top in tops if not top.endswith(".dist-info")} == packages
    statements = ROOT / "core" / "tidemill" / "sql"
    for path in statements.rglob("*.sql"):
        assert f"tidemill/sql/{path.relative_to(statements)}" in names
    assert {f"{package}/py.typed" for package in packages} <= set(names)


def test_the_source_distribution_holds_the_sources_and_nothing_else(
    tmp_path: Path,
) -> None:
    run(sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", str(tmp_path), ".")
    (built,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(built) as archive:
        tops = {Path(name).parts[1] for name in archive.getnames() if len(Path(name).parts) > 1}
    folders = {"core", "api", "worker", "operator", "cli", "crds", "examples"}
    assert {top for top in tops if (ROOT / top).is_dir()} == folders
    assert {"README.md", "LICENSE", "CHANGELOG.md", "pyproject.toml"} <= tops


@pytest.mark.timeout(900)
def test_it_runs_a_users_own_module(wheel: Path, open_folder: Path) -> None:
    environment = open_folder / "environment"
    venv.create(environment, with_pip=True)
    install(environment, wheel)
    tidemill = environment / "bin" / "tidemill"
    # Nothing of this repository may help: not its folder, not its environment.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    with running_up(open_folder, program=[str(tidemill)], app=APP, environment=clean) as up:
        up.wait_until_ready()
        assert '"name": "hello"' in up.output  # the line to try fits the user's own task
        task = up.enqueue("greet", name="you", times=2)
        assert up.succeeded(task)["result"] == "Hello, you! Hello, you! "
        below = up.processes()
        assert all(str(ROOT) not in command for command in below.values()), below
        assert up.end(signal.SIGINT) == 0, up.output
        support.gone(below)
    assert not support.port_answers(up.port)


def install(environment: Path, wheel: Path) -> None:
    """Install the wheel and what it asks for, as a user would; pinned, so that it stays true."""
    done = subprocess.run(
        [
            *(environment / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-compile"),
            *("--constraint", ROOT / "constraints.txt", wheel),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=environment,
    )
    if "NewConnectionError" in done.stderr or "Temporary failure in name" in done.stderr:
        pytest.skip("no package registry can be reached from here")
    assert done.returncode == 0, done.stderr[-2000:]
