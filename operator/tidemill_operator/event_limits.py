"""How many Events of one reason a TaskQueue may have: what flaps must not flood the cluster.

The API server keeps Events for an hour, in the same store as everything else.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

AT_ONCE: Final = 10
"""Events of one reason that may come one right after another."""

SECONDS_EACH: Final = 60.0
"""After those, one more every so often."""

Clock = Callable[[], float]


@dataclass(slots=True)
class _Allowance:
    left: float
    at: float
    kept_back: int = 0


class EventLimits:
    """The limits of one TaskQueue's Events. Times are seconds of `clock`."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        """Nothing was told yet."""
        self._clock = clock
        self._by_reason: dict[str, _Allowance] = {}

    def admit(self, reason: str, message: str) -> str | None:
        """Return the message to post, None when too many of `reason` came lately.

        The next one that is posted says how many were kept back.
        """
        now = self._clock()
        known = self._by_reason.setdefault(reason, _Allowance(AT_ONCE, now))
        known.left = min(AT_ONCE, known.left + (now - known.at) / SECONDS_EACH)
        known.at = now
        if known.left < 1:
            known.kept_back += 1
            return None
        known.left -= 1
        kept_back, known.kept_back = known.kept_back, 0
        return f"{message} (after {kept_back} more that were not told)" if kept_back else message
