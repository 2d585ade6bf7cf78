"""Histograms of seconds, cheap enough for handlers that take microseconds."""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from tidemill.metrics import SECONDS_BUCKETS

MOST_SERIES: Final = 1000
OTHER: Final = "other"


class Seconds(Collector):
    """A histogram of seconds with one label. Written on one thread, read when it is scraped.

    Only the first `MOST_SERIES` values of the label get a series of their own: a producer may make
    a queue for each of its customers.

    prometheus-client's own histogram takes two locks and a walk for each observation: at 3 µs it
    would be the largest part of what running a short task costs.
    """

    def __init__(self, name: str, meaning: str, label: str) -> None:
        """Know no value of `label` yet."""
        self.label = label
        self._name, self._meaning = name, meaning
        self._series: dict[str, list[float]] = {}
        """For each value how often each bucket was met, and the sum of the seconds"""

    def observe(self, value: str, seconds: float) -> None:
        """Count `seconds` where the label is `value`."""
        series = self._series.get(value)
        if series is None:
            series = self._new(value)
        series[bisect_left(SECONDS_BUCKETS, seconds)] += 1
        series[-1] += seconds

    def _new(self, value: str) -> list[float]:
        """Return the series of a value that has none: its own, or that of all others."""
        if len(self._series) >= MOST_SERIES:
            value = OTHER
        return self._series.setdefault(value, [0] * (len(SECONDS_BUCKETS) + 2))

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Yield the histogram."""
        family = HistogramMetricFamily(self._name, self._meaning, labels=[self.label])
        for value, series in list(self._series.items()):
            *counts, total = series
            family.add_metric([value], _cumulative(counts), sum_value=total)
        yield family


def _cumulative(counts: list[float]) -> list[tuple[str, float]]:
    total = 0.0
    buckets: list[tuple[str, float]] = []
    for bound, count in zip((*SECONDS_BUCKETS, float("inf")), counts, strict=True):
        total += count
        buckets.append(("+Inf" if bound == float("inf") else str(float(bound)), total))
    return buckets
