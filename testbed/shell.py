"""Run other programs: quietly for short ones, with a log and progress lines for long ones."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

from testbed.errors import StepError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from testbed.progress import Say

PROGRESS_SECONDS = 15.0


def run(argv: Sequence[str], *, step: str, text: str | None = None) -> str:
    """Run a short command and return its standard output; `text` is its standard input.

    Raises:
        StepError: the command is missing or failed; says its last line on standard error.
    """
    try:
        done = subprocess.run(argv, check=False, capture_output=True, text=True, input=text)
    except OSError as error:
        raise StepError(step, f"cannot run {argv[0]}: {error.strerror}") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise StepError(step, f"{argv[0]} failed: {lines[-1]}")
    return done.stdout


def succeeds(argv: Sequence[str]) -> bool:
    """Tell whether a command exists and ends with exit code 0; its output is dropped."""
    try:
        done = subprocess.run(argv, check=False, capture_output=True)
    except OSError:
        return False
    return done.returncode == 0


def run_logged(
    argv: Sequence[str],
    *,
    step: str,
    log: Path,
    say: Say,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> None:
    """Run a long command with its output in a log file, and say every 15 s that it goes on.

    Raises:
        StepError: the command is missing or failed; carries the log.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    with log.open("wb") as output:
        try:
            child = subprocess.Popen(
                argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        except OSError as error:
            raise StepError(step, f"cannot run {argv[0]}: {error.strerror}") from error
        try:
            code = _wait(child, lambda: say(f"{step}: {time.monotonic() - start:.0f} s so far"))
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
    if code != 0:
        raise StepError(step, f"failed with exit code {code}", log)


def _wait(child: subprocess.Popen[bytes], tick: Callable[[], None]) -> int:
    while True:
        try:
            return child.wait(timeout=PROGRESS_SECONDS)
        except subprocess.TimeoutExpired:
            tick()
