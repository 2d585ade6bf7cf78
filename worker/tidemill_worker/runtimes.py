"""Histograms of seconds, cheap enough for handlers that take microseconds."""

from bisect import bisect_left
from collections.abc import Iterator

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from tidemill.metrics import SECONDS_BUCKETS


class Seconds(Collector):
    """A histogram of seconds with one label. Written on one thread, read when it is scraped.

    prometheus-client's own histogram takes two locks and a walk for each observation: at 3 µs it
    would be the largest part of what running a short task costs.
    """

    def __init__(self, name: str, meaning: str, label: str) -> None:
        """Know no value of `label` yet."""
        self.label = label
        self._name, self._meaning = name, meaning
        self._counts: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}

    def observe(self, value: str, seconds: float) -> None:
        """Count `seconds` where the label is `value`."""
        counts = self._counts.get(value)
        if counts is None:
            self._sums[value] = 0.0
            counts = self._counts[value] = [0] * (len(SECONDS_BUCKETS) + 1)
        counts[bisect_left(SECONDS_BUCKETS, seconds)] += 1
        self._sums[value] += seconds

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Yield the histogram."""
        family = HistogramMetricFamily(self._name, self._meaning, labels=[self.label])
        for value, counts in list(self._counts.items()):
            family.add_metric([value], _cumulative(counts), sum_value=self._sums[value])
        yield family


def _cumulative(counts: list[int]) -> list[tuple[str, float]]:
    total = 0
    buckets: list[tuple[str, float]] = []
    for bound, count in zip((*SECONDS_BUCKETS, float("inf")), list(counts), strict=True):
        total += count
        buckets.append(("+Inf" if bound == float("inf") else str(float(bound)), float(total)))
    return buckets
