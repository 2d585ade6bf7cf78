"""What the workers of this process hold right now, looked at when metrics are scraped."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The figures of one worker; each field is a gauge, `meanings` says which."""

    slots: int = 0
    slots_in_use: int = 0
    slots_stuck: int = 0
    tasks_waiting: int = 0
    leases_held: int = 0
    outcomes_waiting: int = 0
    claiming: int = 0
    processes: int = 0
    loop_blocked_seconds: float = 0.0


MEANINGS = {
    "slots": "Tasks that this process can run at once",
    "slots_in_use": "Slots that run a task",
    "slots_stuck": "Slots held by handlers that go on although their attempt is over",
    "tasks_waiting": "Tasks claimed that wait for a slot",
    "leases_held": "Leases held, running or not",
    "outcomes_waiting": "Outcomes that the database has not acknowledged yet",
    "claiming": "Workers of this process that claim: started, not draining, heartbeats work",
    "processes": "Child processes of handlers with isolation=process",
    "loop_blocked_seconds": "For how long the event loop has not answered; 0 while it turns",
}


class Gauges(Collector):
    """The sum over all workers of the process: it may embed several."""

    def __init__(self) -> None:
        """Look at no worker yet."""
        self._looks: dict[object, Callable[[], Figures]] = {}
        self._lock = threading.Lock()

    def watch(self, worker: object, look: Callable[[], Figures]) -> None:
        """Add what `look()` returns, from any thread, until `worker` is forgotten."""
        with self._lock:
            self._looks[worker] = look

    def forget(self, worker: object) -> None:
        """Leave out `worker` from now on."""
        with self._lock:
            self._looks.pop(worker, None)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield each gauge; the loop that is blocked longest counts."""
        with self._lock:
            looks = list(self._looks.values())
        figures = [look() for look in looks]
        for each in fields(Figures):
            total = max if each.name.endswith("_seconds") else sum
            value = total([getattr(one, each.name) for one in figures] or [0])
            yield GaugeMetricFamily(f"tidemill_worker_{each.name}", MEANINGS[each.name], value)
