"""One `up` or `down` at a time for a state folder."""

from __future__ import annotations

import fcntl
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from testbed.errors import BusyError

if TYPE_CHECKING:
    from collections.abc import Generator

    from testbed.paths import State
    from testbed.progress import Say

WAIT_SECONDS = 180.0


@contextmanager
def exclusive(state: State, say: Say, *, wait_seconds: float = WAIT_SECONDS) -> Generator[None]:
    """Hold the state folder's lock; the kernel gives it back however the holder ends.

    Raises:
        BusyError: another command still holds it after the wait.
    """
    state.root.mkdir(parents=True, exist_ok=True)
    with state.lock.open("w") as file:
        if not _try(file):
            say(f"another `up` or `down` is at work in {state.root}: waiting for it")
            end = time.monotonic() + wait_seconds
            while not _try(file):
                if time.monotonic() > end:
                    raise BusyError(f"another `up` or `down` is still at work in {state.root}")
                time.sleep(0.2)
        yield


def _try(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
