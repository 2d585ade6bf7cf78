"""`.ci/test`: up to three failed tests run once more, alone, and are named; no more than that."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PASSES = "def test_passes(): pass\n"
FAILS = "def test_fails(): raise AssertionError('always')\n"
# Lost a race at first: it leaves a file, and passes when that is there.
FLAKY = """
import pathlib
def test_flaky{n}():
    seen = pathlib.Path("seen{n}")
    if not seen.exists():
        seen.touch()
        raise AssertionError("lost a race")
"""
SKIPS = """
import pytest
def test_skips(): pytest.fail("skips are refused here: no server")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an environment for `.ci/test`, which names it relatively."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (tmp_path / "bin" / "python").chmod(0o755)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -p no:schemathesis\n")
    return tmp_path


def run(folder: Path, *modules: str, **environ: str) -> tuple[int, str]:
    """Run these test modules; return the exit code and what was printed."""
    for number, text in enumerate(modules):
        (folder / f"test_{number}.py").write_text(text)
    done = subprocess.run(
        [ROOT / ".ci" / "test", "."],
        cwd=folder,
        env=os.environ | {"VENV": ".", "PYTHONDONTWRITEBYTECODE": "1"} | environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=100,
    )
    return done.returncode, done.stdout


def counts(printed: str) -> str:
    """Return what pytest's closing line, the last one, counts."""
    return printed.splitlines()[-1].strip("= ").partition(" in ")[0]


def test_a_run_that_passes_is_run_once_and_leaves_nothing(folder: Path) -> None:
    code, printed = run(folder, PASSES)
    assert (code, counts(printed)) == (0, "1 passed")
    assert "FLAKY" not in printed
    assert sorted(each.name for each in folder.iterdir()) == ["bin", "pytest.ini", "test_0.py"]


def test_what_passes_alone_is_named_as_flaky_and_the_run_passes(folder: Path) -> None:
    code, printed = run(folder, PASSES, *(FLAKY.format(n=n) for n in range(3)))
    assert (code, counts(printed)) == (0, "3 passed")
    assert "3 failed, 1 passed" in printed  # what was lost at first is shown as ever
    assert "lost a race" in printed
    named = " ".join(f"test_{n + 1}.py::test_flaky{n}" for n in range(3))
    assert f"== FLAKY: tests that failed at first and passed alone: mend them: {named}" in printed


def test_what_fails_again_fails_the_run(folder: Path) -> None:
    code, printed = run(folder, FAILS, FLAKY.format(n=0))
    assert (code, counts(printed)) == (1, "1 failed, 1 passed")
    assert "FLAKY" not in printed


@pytest.mark.parametrize(
    ("modules", "environ", "closing"),
    [
        ([FLAKY.format(n=n) for n in range(4)], {}, "4 failed"),
        ([PASSES, SKIPS], {}, "1 failed, 1 passed"),
        ([PASSES, "import nothing_of_this_name"], {}, "1 error"),
        ([FLAKY.format(n=0)], {"TEST_SECONDS": "0"}, "1 failed"),
        ([FLAKY.format(n=0) + "    raise KeyboardInterrupt"], {}, "no tests ran"),
    ],
    ids=["four", "a refused skip", "a module that fails", "no time left", "broken off"],
)
def test_there_is_no_second_chance_for(
    folder: Path, modules: list[str], environ: dict[str, str], closing: str
) -> None:
    if closing == "no tests ran":
        (folder / "seen0").touch()
    code, printed = run(folder, *modules, **environ)
    assert code != 0
    assert "again alone" not in printed
    assert closing in printed.splitlines()[-1]


def test_the_run_of_all_checks_uses_it() -> None:
    assert "make test PYTEST=.ci/test" in (ROOT / ".ci" / "run").read_text()
    assert "@exec $(PYTEST) $(addprefix tests/,$(TESTS))" in (ROOT / "Makefile").read_text()
