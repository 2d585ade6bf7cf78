"""What the database measures, in simulated time: over the same windows, in the same buckets."""

from collections import deque

BUCKET_SECONDS = 10.0
ARRIVALS_SECONDS = 60.0
RUN_TIMES_SECONDS = 300.0


class Measured:
    """Arrivals of the last minute and run times of the last five, as `snapshots.sql` has them."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self._arrivals = deque[float]()
        self._ended = deque[tuple[float, float]]()
        self._run_seconds = 0.0

    def arrived(self, at: float) -> None:
        """Note a task that became claimable."""
        self._arrivals.append(at)

    def ended(self, at: float, run_seconds: float) -> None:
        """Note a task that ended."""
        self._ended.append((at, run_seconds))
        self._run_seconds += run_seconds

    def arrival_per_second(self, now: float) -> float:
        """Return the rate since the start of the bucket that a minute ago fell into."""
        since = (now - ARRIVALS_SECONDS) // BUCKET_SECONDS * BUCKET_SECONDS
        while self._arrivals and self._arrivals[0] < since:
            self._arrivals.popleft()
        return len(self._arrivals) / (now - since)

    def mean_run_seconds(self, now: float) -> float | None:
        """Return the mean of what ended lately; None when nothing did."""
        while self._ended and self._ended[0][0] <= now - RUN_TIMES_SECONDS:
            self._run_seconds -= self._ended.popleft()[1]
        if not self._ended:
            self._run_seconds = 0.0  # no rest of rounding is carried on
            return None
        return self._run_seconds / len(self._ended)
