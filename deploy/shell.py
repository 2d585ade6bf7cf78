"""Run other programs; a failure becomes one line that says what to look at."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.errors import DeployError

ROOT = Path(__file__).resolve().parent.parent


def output(argv: Sequence[str], *, step: str, text: str | None = None) -> str:
    """Return what a short command prints; `text` is its standard input.

    Raises:
        DeployError: it is missing or failed; says its last line.
    """
    try:
        done = subprocess.run(
            argv, check=False, capture_output=True, text=True, input=text, cwd=ROOT
        )
    except OSError as error:
        raise DeployError(f"{step}: cannot run {argv[0]}: {error.strerror}") from error
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise DeployError(f"{step}: {lines[-1] if lines else f'exit code {done.returncode}'}")
    return done.stdout


def show(
    argv: Sequence[str], *, step: str, look: str, env: Mapping[str, str] | None = None
) -> None:
    """Run a long command whose own output the user sees.

    Raises:
        DeployError: it is missing or failed; `look` says where the reason is.
    """
    try:
        code = subprocess.run(argv, check=False, cwd=ROOT, env=env).returncode
    except OSError as error:
        raise DeployError(f"{step}: cannot run {argv[0]}: {error.strerror}") from error
    if code != 0:
        raise DeployError(f"{step} failed (exit code {code}); look at {look}")


def succeeds(argv: Sequence[str]) -> bool:
    """Tell whether a command exists and ends well; its output is dropped."""
    if shutil.which(argv[0]) is None:
        return False
    return subprocess.run(argv, check=False, capture_output=True, cwd=ROOT).returncode == 0


def need(program: str, purpose: str) -> str:
    """Return the path of `program`.

    Raises:
        DeployError: it is not installed; says what it is for.
    """
    found = shutil.which(program)
    if found is None:
        raise DeployError(f"{program} is not installed: it is needed to {purpose}")
    return found
