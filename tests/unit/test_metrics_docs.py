"""Our metrics: each one documented as it is, and named as Prometheus asks."""

import re
from importlib import import_module
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.metrics import Row, rows
from tidemill.db import Database
from tidemill.metrics import REGISTRY
from tidemill.settings import Settings
from tidemill.store.stats import StatsStore
from tidemill_api.auth.metrics import AuthMetrics
from tidemill_api.events.metrics import StreamMetrics
from tidemill_api.gauges import QueueFigures
from tidemill_api.metrics import ApiMetrics

PAGE = Path(__file__).parents[2] / "docs" / "observability.md"
FOREIGN_UNITS = re.compile(r"_(ms|milliseconds|millis|us|minutes|hours|days|kb|mb|percent)(_|$)")


@pytest.fixture
def registries() -> list[CollectorRegistry]:
    for module in ("tidemill_worker.metrics", "tidemill_operator.reconcile"):
        import_module(module)  # registers its metrics
    api = ApiMetrics()
    nowhere = Database.of(Settings(database_url="postgresql://nowhere"), application="test")
    QueueFigures(StatsStore(nowhere), api.registry)
    AuthMetrics(api.registry)
    StreamMetrics(api.registry)
    return [REGISTRY, api.registry]


@pytest.fixture
def metrics(registries: list[CollectorRegistry]) -> list[Row]:
    return [row for registry in registries for row in rows(registry)]


def test_the_page_lists_every_metric_as_it_is(metrics: list[Row]) -> None:
    told = re.findall(
        r"^\| `(tidemill_\w+)` \| (\w+) \| (.*?) \| (.+) \|$", PAGE.read_text(), re.MULTILINE
    )
    assert len(told) > 30
    assert sorted(told) == sorted(metrics)


def test_names_follow_the_conventions_of_prometheus(metrics: list[Row]) -> None:
    for name, kind, labels, meaning in metrics:
        assert re.fullmatch(r"tidemill_[a-z][a-z_]*[a-z]", name), name
        assert name.endswith("_total") == (kind == "counter"), f"{name}: only counters are totals"
        assert not FOREIGN_UNITS.search(name), f"{name}: base units"
        assert not re.search(r"_(counter|gauge|histogram)(_|$)", name), f"{name}: no kinds in names"
        assert not re.search(r"_(count|sum|bucket)$", name), f"{name}: an ending of histograms"
        assert meaning, name
        for label in re.findall(r"`(\w+)`", labels):
            assert re.fullmatch(r"[a-z][a-z_]*", label), f"{name}: {label}"


def test_no_name_is_given_twice(metrics: list[Row]) -> None:
    names = [row[0] for row in metrics]
    assert len(names) == len(set(names))


def test_what_is_exposed_reads_back(registries: list[CollectorRegistry]) -> None:
    text = b"".join(map(generate_latest, registries)).decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert {"process_resident_memory_bytes", "python_info", "tidemill_worker_slots"} <= set(
        families
    )
    assert all(family.documentation for family in families.values())
