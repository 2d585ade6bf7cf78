"""The scripts behind make: they say in one line what is missing, and do nothing twice."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import check_tools

ROOT = Path(__file__).parents[2]


def script(name: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", ROOT / "tools" / name, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | variables,
    )


def with_programs(folder: Path, *names: str) -> str:
    """Return a PATH on which only these programs are."""
    for name in names:
        found = shutil.which(name)
        assert found, name
        (folder / name).symlink_to(found)
    return str(folder)


def test_setup_says_that_python_is_missing(tmp_path: Path) -> None:
    done = script("setup.sh", "run", PYTHON="no-such-python", VENV=str(tmp_path / "venv"))
    assert done.returncode == 1
    assert done.stderr == "setup: Python 3.11 or newer is needed: no-such-python is not there\n"


def test_setup_says_that_python_is_too_old(tmp_path: Path) -> None:
    old = tmp_path / "python"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.1\nexit 1\n')
    old.chmod(0o755)
    done = script("setup.sh", "run", PYTHON=str(old), VENV=str(tmp_path / "venv"))
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed" in done.stderr
    assert "Python 3.9.1; set PYTHON=..." in done.stderr


@pytest.mark.parametrize(("stamped", "asked"), [("run", "run"), ("dev", "dev"), ("dev", "run")])
def test_setup_finds_nothing_to_do_the_second_time(
    tmp_path: Path, stamped: str, asked: str
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    inputs = (ROOT / "pyproject.toml").read_bytes()
    inputs += (ROOT / "requirements" / f"{stamped}.txt").read_bytes()
    stamp = subprocess.run(["cksum"], input=inputs, capture_output=True, check=True).stdout
    (tmp_path / f".tidemill-{stamped}").write_bytes(stamp)
    done = script("setup.sh", asked, VENV=str(tmp_path), PYTHON="no-such-python")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_compose_without_docker_names_the_other_ways(tmp_path: Path) -> None:
    done = script("compose.sh", "ps", PATH=with_programs(tmp_path, "dirname"))
    assert done.returncode == 1
    assert "there is no docker command" in done.stderr
    assert "`make run`" in done.stderr
    assert done.stderr.count("\n") == 1


def test_compose_without_an_engine_says_so(tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\n[ "$1" = compose ]\n')
    docker.chmod(0o755)
    done = script("compose.sh", "up", PATH=f"{with_programs(tmp_path, 'dirname')}")
    assert done.returncode == 1
    assert "no" in done.stderr
    assert "none answers" in done.stderr


def test_check_tools_names_every_tool(capsys: pytest.CaptureFixture[str]) -> None:
    assert check_tools.main() == 0
    shown = capsys.readouterr().out
    assert all(f" {tool.name} " in shown for tool in check_tools.TOOLS)


def test_check_tools_fails_where_what_everything_needs_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert check_tools.main() == 1
    assert "MISSING  make" in capsys.readouterr().out


def test_ci_runs_the_readmes_test_command_and_refuses_skips() -> None:
    text = (ROOT / ".ci" / "run").read_text()
    assert "\nmake test " in text
    assert "export CI=true" in text
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    subprocess.run(["bash", "-n", ROOT / ".ci" / "run"], check=True)
