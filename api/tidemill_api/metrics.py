"""What this API process measures. Each server has its own registry beside core's.

Labels come from bounded sets: routes are templates, methods and statuses few, and of task types
and queues only the first `MOST_SERIES` combinations get series of their own.
"""

import os
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from tidemill.metrics import REGISTRY

MOST_SERIES: Final = 1000
FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that names where processes which serve one port keep their figures."""

_LATENCY: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SIZES: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)


class ApiMetrics:
    """The counters and histograms of one server."""

    def __init__(self) -> None:
        """Create all series' families."""
        self.registry = CollectorRegistry()
        self.shared = CollectorRegistry()
        """What every process would read alike from the database."""
        self._enqueued = Counter(
            "tidemill_api_enqueued_tasks",
            "Tasks accepted over HTTP; status existing: found by an idempotency key",
            ("type", "queue", "status"),
            registry=self.registry,
        )
        self._requests = Histogram(
            "tidemill_api_request_seconds",
            "Time from a request's head to its answer",
            ("route", "method", "status"),
            buckets=_LATENCY,
            registry=self.registry,
        )
        self.batch_size = Histogram(
            "tidemill_api_insert_tasks",
            "Tasks in one insert: a batch, or single requests that came together",
            buckets=_SIZES,
            registry=self.registry,
        )
        self.claimed = Counter(
            "tidemill_api_claimed_tasks", "Tasks leased over HTTP", registry=self.registry
        )
        self._reports = Counter(
            "tidemill_api_reported_ends",
            "Ends of attempts reported over HTTP; recorded false: the lease was lost",
            ("end", "recorded"),
            registry=self.registry,
        )
        self.waiting_claims = Gauge(
            "tidemill_api_waiting_claims",
            "Claims over HTTP that wait now",
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self._enqueue_series: dict[tuple[str, str, str], Counter] = {}
        self._request_series: dict[tuple[str, str, int], Histogram] = {}

    def count_enqueue(self, kind: str, queue: str, status: str, count: int = 1) -> None:
        """Count accepted tasks."""
        key = (kind, queue, status)
        series = self._enqueue_series.get(key)
        if series is None:
            named = key if len(self._enqueue_series) < MOST_SERIES else ("other", "other", status)
            series = self._enqueued.labels(*named)
            if named == key:
                self._enqueue_series[key] = series
        series.inc(count)

    def count_report(self, end: str, *, recorded: bool) -> None:
        """Count the reported end of an attempt."""
        self._reports.labels(end, str(recorded).lower()).inc()

    def observe_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request and its time; `route` is a template, never a path."""
        key = (route, method, status)
        series = self._request_series.get(key)
        if series is None:
            series = self._requests.labels(route, method, str(status))
            self._request_series[key] = series
        series.observe(seconds)

    def text(self) -> bytes:
        """Return core's and this server's metrics in Prometheus' text format.

        Of several processes: the sums of all, those that have died included, without what is one
        process's alone (its memory, its collector).
        """
        if FOLDER in os.environ:
            every = CollectorRegistry()
            MultiProcessCollector(every)  # type: ignore[no-untyped-call]  # it has no types
            return generate_latest(every) + generate_latest(self.shared)
        return b"".join(map(generate_latest, (REGISTRY, self.registry, self.shared)))
