"""When a worker process starts itself anew, and how: against memory that handlers never give back.

It drains and then becomes a fresh interpreter with the same command line (exec): same process id,
so no parent, no pod and no restart back-off is involved. Each process takes limits up to a tenth
below those set, so that replicas that began together do not recycle together.
"""

import asyncio
import os
import random
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn, Self

from tidemill.errors import ConfigurationError
from tidemill.settings import Settings

SPREAD: Final = 0.1
LOOK_SECONDS: Final = 1.0
"""How often memory is looked at where no task ends."""

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_MEGABYTE: Final = 1_000_000
_STATM: Final = Path("/proc/self/statm")


@dataclass(frozen=True, slots=True)
class Limits:
    """After how many tasks, or above how many MB of memory, to start anew. 0 = never."""

    tasks: int = 0
    memory_mb: float = 0.0

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the limits of this process. Raises ConfigurationError where they cannot work."""
        share = random.uniform(1 - SPREAD, 1)
        limits = cls(round(settings.max_tasks * share), settings.max_memory_mb * share)
        if limits.memory_mb:
            _check_memory(limits.memory_mb, settings.max_memory_mb)
        return limits

    def exceeded(self, tasks: int, memory_mb: float) -> str | None:
        """Return which limit is reached, in words, or None."""
        if self.tasks and tasks >= self.tasks:
            return f"{tasks} tasks done, limit {self.tasks}"
        if self.memory_mb and memory_mb > self.memory_mb:
            return f"{memory_mb:.0f} MB of memory, limit {self.memory_mb:.0f} MB"
        return None

    async def reached(self, tasks: Callable[[], int], moved: asyncio.Event) -> str:
        """Wait until a limit is reached; return which. `moved` is set whenever tasks have ended."""
        while (reason := self.exceeded(tasks(), memory_mb() if self.memory_mb else 0.0)) is None:
            moved.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(moved.wait(), LOOK_SECONDS)
        return reason


def memory_mb() -> float:
    """Return how much memory of this process is in RAM, in MB (10^6 bytes)."""
    return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / _MEGABYTE


def start_anew(folder: str) -> NoReturn:
    """Become a new interpreter with this one's command line, in `folder`."""
    os.chdir(folder)
    os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - no shell is the point


def keep_signals() -> None:
    """Keep signals to stop for the next interpreter.

    Until it listens they would end it or, in the first process of a container, be lost.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)


def take_signals() -> None:
    """Take signals that the interpreter before this one has kept."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


def _check_memory(most_mb: float, set_mb: int) -> None:
    try:
        now = memory_mb()
    except OSError:
        raise ConfigurationError("TIDEMILL_MAX_MEMORY_MB needs /proc, as on Linux") from None
    if now > most_mb:
        raise ConfigurationError(
            f"TIDEMILL_MAX_MEMORY_MB must be more than the worker takes before its first task: "
            f"{now / (1 - SPREAD):.0f} MB (got {set_mb})"
        )
