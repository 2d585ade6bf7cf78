"""Progress lines on standard error, each with the time since the command began."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

Say = Callable[[str], None]


def timed() -> Say:
    """Return a function that prints a line with the seconds since this call."""
    start = time.monotonic()

    def say(message: str) -> None:
        print(f"{time.monotonic() - start:7.1f} s  {message}", file=sys.stderr, flush=True)

    return say
