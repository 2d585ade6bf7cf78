"""The metrics of a registry as rows: what docs/observability.md lists."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

Row = tuple[str, str, str, str]


def rows(registry: CollectorRegistry) -> Iterator[Row]:
    """Yield name, kind, labels and meaning of each of our metrics."""
    for collector in list(registry._collector_to_names):
        for family in collector.collect():
            if family.name.startswith("tidemill_"):
                name = family.name + ("_total" if family.type == "counter" else "")
                yield name, family.type, _labels(collector, family), family.documentation


def _labels(collector: Collector, family: Metric) -> str:
    declared = getattr(collector, "_labelnames", ()) or [getattr(collector, "label", "")]
    sampled = {name for sample in family.samples for name in sample.labels if name != "le"}
    known = [*declared, *sorted(sampled - set(declared))]
    return ", ".join(f"`{name}`" for name in known if name)
