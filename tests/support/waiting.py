"""Wait for a condition, never for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LOOK_SECONDS = 0.2


def until(condition: Callable[[], T], *, seconds: float, what: str) -> T:
    """Return the first true value of `condition`; AssertionError with the last one otherwise."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:g} s: {what} (last seen: {value!r})")
        time.sleep(LOOK_SECONDS)
    return value
