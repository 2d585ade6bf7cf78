"""At most one line a second of each kind: a database that is away fails every request alike."""

import time
from collections.abc import Callable
from typing import Final

SECONDS: Final = 1.0


class Pace:
    """Admits the first of a kind, and the next one `SECONDS` later."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Admit the first of every kind."""
        self._clock = clock
        self._next: dict[str, float] = {}

    def admits(self, kind: str) -> bool:
        """Return whether one of `kind` may pass now. Kinds are few: each is remembered."""
        now = self._clock()
        if now < self._next.get(kind, now):
            return False
        self._next[kind] = now + SECONDS
        return True
