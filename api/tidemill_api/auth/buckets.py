"""A token's rate, as this process counts it."""

import time
from collections.abc import Callable

from tidemill_api.auth.tokens import Rate


class Bucket:
    """Holds as many requests as the rate allows at once, and fills up at the rate."""

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin full."""
        self.rate = rate
        self._clock = clock
        self._left = float(rate.requests)
        self._at = clock()

    def draw(self) -> float:
        """Take a request out, and return 0; or how many seconds there is none to take."""
        now, rate = self._clock(), self.rate
        filled = self._left + (now - self._at) * rate.requests / rate.seconds
        self._left, self._at = min(float(rate.requests), filled), now
        if self._left < 1:
            return (1 - self._left) * rate.seconds / rate.requests
        self._left -= 1
        return 0.0
