"""Every lease that this process holds: the one list that claims, heartbeats and outcomes share."""

import threading
from collections.abc import Iterable

from tidemill.models import Lease
from tidemill_worker.run import Run


class Ledger:
    """Leases by token, from the claim until the outcome is acknowledged (or the lease lost).

    Written on the loop, read by the heart's thread; every access takes the lock for a batch.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._runs: dict[int, Run] = {}
        self._lock = threading.Lock()
        self.shortest_lease = float("inf")
        """The shortest lease ever added, in seconds: how often the heart has to beat"""

    def __len__(self) -> int:
        """Return how many leases are held."""
        return len(self._runs)

    def add(self, runs: Iterable[Run]) -> None:
        """Note leases just claimed."""
        with self._lock:
            for run in runs:
                self._runs[run.task.lease.token] = run
                self.shortest_lease = min(self.shortest_lease, run.task.lease_seconds)

    def drop(self, runs: Iterable[Run]) -> None:
        """Forget leases that are no more."""
        with self._lock:
            for run in runs:
                self._runs.pop(run.task.lease.token, None)

    def find(self, leases: Iterable[Lease]) -> dict[Lease, Run]:
        """Return the runs of those of `leases` that are held."""
        with self._lock:
            found = [(lease, self._runs.get(lease.token)) for lease in leases]
        return {lease: run for lease, run in found if run is not None}

    def runs(self) -> list[Run]:
        """Return all, as they are now."""
        with self._lock:
            return list(self._runs.values())

    def leases(self) -> list[Lease]:
        """Return all leases, as they are now."""
        return [run.task.lease for run in self.runs()]
