"""How many tasks to claim ahead of free slots: a measurement and three pure rules."""

from tidemill.errors import ConfigurationError

MOST = 1000
WINDOW_SECONDS = 0.1


class Prefetch:
    """`auto`: as many as were finished in the last 100 ms, at most 1,000; or a fixed number.

    A worker of slow tasks hoards none, one of short tasks claims them in large batches. A batch
    that finishes fast doubles the next one, so it is at full size after some milliseconds.
    """

    def __init__(self, setting: str) -> None:
        """Read the setting. Raises ConfigurationError."""
        self.auto = setting == "auto"
        self._fixed = 0 if self.auto else _number(setting)
        self._window_ends = 0.0
        self._previous = self._current = 0

    def finished(self, count: int, now: float) -> None:
        """Note that `count` tasks finished by `now` (monotonic seconds)."""
        self._turn(now)
        self._current += count

    def target(self, now: float) -> int:
        """Return how many tasks may wait for a slot at `now`."""
        if not self.auto:
            return self._fixed
        self._turn(now)
        return min(MOST, max(self._previous, self._current))

    def _turn(self, now: float) -> None:
        if now < self._window_ends:
            return
        adjacent = now < self._window_ends + WINDOW_SECONDS
        self._previous = self._current if adjacent else 0
        self._current = 0
        self._window_ends = now + WINDOW_SECONDS


def room(*, slots: int, ahead: int, open_runs: int, held: int) -> int:
    """Return how many more tasks may be claimed.

    `slots` are those whose handler can be counted on to return, `ahead` is the prefetch target,
    `open_runs` are the leases without an outcome yet, `held` all leases. Outcomes that wait for
    their acknowledgement keep their places, but for one more prefetch: with that a batch is
    claimed while the batch before it is being recorded.
    """
    return max(0, min(slots + ahead - open_runs, slots + 2 * ahead - held, MOST))


def worth_claiming(*, room: int, most: int, open_runs: int, recording: int) -> bool:
    """Return whether to claim now, rather than when more room has come.

    While outcomes are being recorded, their acknowledgement brings room in a moment: a small claim
    now would cost as much as the large one then.
    """
    if room <= 0:
        return False
    return recording == 0 or 2 * room >= most or open_runs == 0


def _number(setting: str) -> int:
    if not setting.isdecimal() or int(setting) > MOST:
        rule = f"must be `auto` or a number from 0 to {MOST}"
        raise ConfigurationError(f"TIDEMILL_PREFETCH {rule} (got {setting!r})")
    return int(setting)
