"""How many tasks to claim ahead of free slots: a measurement and three pure rules."""

from tidemill.errors import ConfigurationError

MOST = 1000
AHEAD_SECONDS = 0.1
WINDOW_SECONDS = 0.1
SHORTEST_SECONDS = 0.001
"""Below this, a measured time says more about the clock than about the handlers."""


class Prefetch:
    """`auto`: what the slots were lately seen to finish in 100 ms, at most 1,000; or a number.

    A worker of slow tasks hoards none, one of short tasks claims them in large batches. Measured
    over the time in which any slot was busy, so a slow database does not make handlers look slow.
    """

    def __init__(self, setting: str) -> None:
        """Read the setting. Raises ConfigurationError."""
        self.auto = setting == "auto"
        self._fixed = 0 if self.auto else _number(setting)
        self._before = (0, 0.0)
        self._window_began = (0, 0.0)

    def target(self, finished: int, busy_seconds: float) -> int:
        """Return how many tasks may wait for a slot.

        `finished` tasks have ended so far, in `busy_seconds` with any slot in use.
        """
        if not self.auto:
            return self._fixed
        count, seconds = finished - self._window_began[0], busy_seconds - self._window_began[1]
        seen, during = self._before[0] + count, self._before[1] + seconds
        if seconds >= WINDOW_SECONDS:
            self._before = (count, seconds)
            self._window_began = (finished, busy_seconds)
        return min(MOST, int(seen * AHEAD_SECONDS / max(during, SHORTEST_SECONDS)))


def room(*, slots: int, ahead: int, open_runs: int, held: int) -> int:
    """Return how many more tasks may be claimed.

    `slots` are those whose handler can be counted on to return, `ahead` is the prefetch target,
    `open_runs` are the leases without an outcome yet, `held` all leases. Outcomes that wait for
    their acknowledgement keep their places, but for one more prefetch: with that a batch is
    claimed while the batch before it is being recorded.
    """
    return max(0, min(slots + ahead - open_runs, slots + 2 * ahead - held, MOST))


def free_slots(*, slots: int, open_runs: int, room: int) -> int:
    """Return how many tasks could start at once: all that may be taken of queues with limits."""
    return max(0, min(slots - open_runs, room))


def worth_claiming(*, room: int, most: int, waiting: int, recording: int) -> bool:
    """Return whether to claim now, rather than when more room has come.

    While tasks wait for a slot nothing stands idle, and while outcomes are being recorded their
    acknowledgement brings room in a moment: a small claim now would cost as much as a large one
    then.
    """
    return room > 0 and (2 * room >= most or waiting + recording == 0)


def _number(setting: str) -> int:
    if not setting.isdecimal() or int(setting) > MOST:
        rule = f"must be `auto` or a number from 0 to {MOST}"
        raise ConfigurationError(f"TIDEMILL_PREFETCH {rule} (got {setting!r})")
    return int(setting)
