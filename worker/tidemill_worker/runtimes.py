"""The histogram of run times, cheap enough for handlers that take microseconds."""

from bisect import bisect_left
from collections.abc import Iterator

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from tidemill.metrics import REGISTRY, SECONDS_BUCKETS


class RunTimes(Collector):
    """Run times in seconds by task type. Written on one thread, read when metrics are scraped.

    prometheus-client's own histogram takes two locks and a walk for each observation: at 3 µs it
    would be the largest part of what running a short task costs.
    """

    NAME = "tidemill_worker_run_seconds"

    def __init__(self) -> None:
        """Know no type yet."""
        self._counts: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}

    def observe(self, kind: str, seconds: float) -> None:
        """Count a run of a task of type `kind`."""
        counts = self._counts.get(kind)
        if counts is None:
            counts = self._counts[kind] = [0] * (len(SECONDS_BUCKETS) + 1)
            self._sums[kind] = 0.0
        counts[bisect_left(SECONDS_BUCKETS, seconds)] += 1
        self._sums[kind] += seconds

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Yield the histogram."""
        family = HistogramMetricFamily(
            self.NAME, "How long handlers ran, in seconds", labels=["type"]
        )
        for kind, counts in list(self._counts.items()):
            family.add_metric([kind], _cumulative(counts), sum_value=self._sums[kind])
        yield family


def _cumulative(counts: list[int]) -> list[tuple[str, float]]:
    total = 0
    buckets: list[tuple[str, float]] = []
    for bound, count in zip((*SECONDS_BUCKETS, float("inf")), list(counts), strict=True):
        total += count
        buckets.append(("+Inf" if bound == float("inf") else str(float(bound)), float(total)))
    return buckets


RUN_SECONDS = RunTimes()
REGISTRY.register(RUN_SECONDS)
