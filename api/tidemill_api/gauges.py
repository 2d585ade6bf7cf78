"""Gauges of every queue, from figures read once for all scrapers.

A queue that was seen once stays, at 0 when it is gone; `default` is there from the start. With the
database away the last figures stay and `tidemill_database_up` is 0: unknown is not zero.
"""

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tidemill.errors import TidemillError
from tidemill.models import QueueStats
from tidemill.store.stats import StatsStore
from tidemill_api.single import Shared

FRESH_SECONDS: Final = 2.0
"""Below any usual scrape interval, so that each interval reads once."""

_GAUGES: Final[tuple[tuple[str, str, Callable[[QueueStats], float]], ...]] = (
    ("ready", "Tasks waiting to be claimed", lambda q: q.counts.queued_tasks),
    ("scheduled", "Tasks not yet due", lambda q: q.counts.scheduled_tasks),
    ("running", "Tasks under a lease", lambda q: q.counts.running_tasks),
    ("dead", "Tasks whose retries ran out", lambda q: q.counts.failed_tasks),
    ("oldest_ready_seconds", "Age of the oldest waiting task", lambda q: q.oldest_queued_seconds),
    ("paused", "1 while the queue is paused", lambda q: float(q.paused)),
)


class QueueFigures(Collector):
    """The figures of all queues as gauges; `refresh` before they are shown."""

    def __init__(self, stats: StatsStore, registry: CollectorRegistry) -> None:
        """Read `stats`; show queue `default` as empty until then."""
        self._stats = Shared(stats.stats)
        self._queues: dict[str, QueueStats | None] = {"default": None}
        self._up = False
        registry.register(self)

    async def refresh(self) -> None:
        """Read the figures unless they are fresh; never raises for a database that is away."""
        try:
            stats = await self._stats.get(FRESH_SECONDS)
        except TidemillError:
            self._up = False
            return
        self._queues = dict.fromkeys(self._queues) | {each.queue: each for each in stats.queues}
        self._up = True

    def collect(self) -> Iterator[Metric]:
        """Yield the families, with a sample for each known queue."""
        for name, meaning, value in _GAUGES:
            family = GaugeMetricFamily(f"tidemill_queue_{name}", meaning, labels=("queue",))
            for queue, figures in self._queues.items():
                family.add_metric((queue,), 0 if figures is None else value(figures))
            yield family
        meaning = "1 when the figures of the queues could be read"
        yield GaugeMetricFamily("tidemill_database_up", meaning, value=float(self._up))
