"""How soon to try again: waits that double after each failure, with jitter."""

import random
import time
from collections.abc import Callable
from typing import Final

FIRST_SECONDS: Final = 0.5
LONGEST_SECONDS: Final = 10.0
JITTER: Final = 0.25
"""A wait is longer or shorter by up to this share: who failed together must not return together."""

LONGEST_ASKED_SECONDS: Final = 60.0
"""A server that asks for a longer pause is tried again all the same."""

Clock = Callable[[], float]


class Backoff:
    """Waits after failures. Times are seconds of `clock`."""

    def __init__(
        self,
        first: float = FIRST_SECONDS,
        longest: float = LONGEST_SECONDS,
        clock: Clock = time.monotonic,
    ) -> None:
        """Nothing has failed yet. `first` and `longest` are waits before jitter."""
        self._first = first
        self._longest = longest
        self._clock = clock
        self._wait = 0.0
        self._failed_at = float("-inf")
        self._until = float("-inf")

    @property
    def seconds(self) -> float:
        """How long to wait still; 0 = not at all."""
        return max(0.0, self._until - self._clock())

    def failed(self, begun: float, asked_for: float | None = None) -> None:
        """Note a failure of what began at `begun`; wait `asked_for` seconds at least.

        What began before the last failure failed with it, and makes the wait no longer.
        """
        now = self._clock()
        if begun >= self._failed_at:
            self._wait = min(self._longest, max(self._first, self._wait * 2))
            self._failed_at = now
            share = random.uniform(1 - JITTER, 1 + JITTER)
            self._until = max(self._until, now + self._wait * share)
        if asked_for is not None:
            self._until = max(self._until, now + min(asked_for, LONGEST_ASKED_SECONDS))

    def succeeded(self) -> None:
        """Note a success: the next failure is a first one."""
        self._wait = 0.0
