"""The errors of the test bed; the command line prints each as one line and nothing else.

BedError                    root; exit code 1
├── UsageError              the command was given something it cannot take; exit code 2
├── NotUpError              the command needs a cluster that is up; exit code 3
├── PrerequisiteError       the machine lacks something; exit code 4
├── BusyError               something of the same name or place is in use; exit code 5
└── StepError               a step of the work failed; carries the step's log file
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LOG_LINES = 12
LINE_LENGTH = 400


class BedError(Exception):
    """Anything that the test bed itself reports; the text is one line for the user."""

    exit_code = 1


class UsageError(BedError):
    """An argument has a value that cannot be used."""

    exit_code = 2


class NotUpError(BedError):
    """There is no running cluster in the state folder."""

    exit_code = 3


class PrerequisiteError(BedError):
    """A program, a right or a kernel feature is missing on this machine."""

    exit_code = 4


class BusyError(BedError):
    """Another command or another cluster holds what is needed."""

    exit_code = 5


class StepError(BedError):
    """A step failed: names it, says why, and ends with the last lines of its log."""

    def __init__(self, step: str, reason: str, log: Path | None = None) -> None:
        """Take the step's name, the reason as a clause, and the log file if there is one."""
        self.step = step
        self.reason = reason
        self.log = log
        super().__init__(_describe(step, reason, log))


def _describe(step: str, reason: str, log: Path | None) -> str:
    if log is None:
        return f"{step}: {reason}"
    lines = last_lines(log)
    head = f"{step}: {reason}; log: {log}" + (", which ends with:" if lines else " (empty)")
    return "\n".join([head, *(f"    {line}" for line in lines)])


def last_lines(log: Path, count: int = LOG_LINES) -> list[str]:
    """Return the last lines of a log that are not blank; a missing file has none."""
    try:
        text = log.read_text(errors="replace")
    except OSError:
        return []
    lines = [line.rstrip() for line in text.splitlines() if line.strip()][-count:]
    return [line if len(line) <= LINE_LENGTH else f"{line[:LINE_LENGTH]}…" for line in lines]
