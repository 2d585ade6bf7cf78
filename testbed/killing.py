"""Killing whatever is inside a cgroup or a network namespace, until nothing is."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

from testbed.errors import StepError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

# On a busy machine its first process may take long to collect ended ones, which still count.
KILL_SECONDS = 90.0


def kill_all(inside: Callable[[], Collection[int]], step: str) -> None:
    """Kill what `inside()` lists until it lists nothing: what dies may just have forked.

    Raises:
        StepError: processes were left after 90 s.
    """
    end = time.monotonic() + KILL_SECONDS
    while pids := inside():
        if time.monotonic() > end:
            raise StepError(step, f"processes {sorted(pids)} survive SIGKILL")
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.05)
