"""Prometheus metrics shared by all components. One registry a process."""

from prometheus_client import REGISTRY, Counter, Gauge, Histogram

__all__ = ["BATCH_BUCKETS", "REGISTRY", "SECONDS_BUCKETS", "Counter", "Gauge", "Histogram"]

SECONDS_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)
"""The same bounds as the database's wait histogram (`tidemill.wait_bounds()`)."""

BATCH_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)

LOOP_FAILURES = Counter(
    "tidemill_loop_failures_total", "Runs of a background loop that failed", ["loop"]
)
UPKEEP = Counter(
    "tidemill_upkeep_total", "Rows that maintenance duties of this process acted on", ["duty"]
)
