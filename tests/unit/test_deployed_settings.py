"""The chart and compose.yaml speak the settings and commands that there are."""

from dataclasses import fields
from typing import Any

import pytest
import yaml

from tests.support.chart import CHART, Chart, Manifest, containers, one, pods, variables
from tidemill.setting import variable_of
from tidemill.settings import Settings
from tidemill_api.server import DRAIN_SECONDS
from tidemill_cli.__main__ import COMMANDS
from tidemill_cli.fleet.processes import BEYOND_DRAIN_SECONDS

KNOWN = {variable_of(each.name) for each in fields(Settings)}
COMPOSE = CHART.parents[1] / "compose.yaml"
# Pods that do not run one of our commands: Postgres, and the script of `helm test`.
FOREIGN = {"StatefulSet/tidemill-postgres", "Job/tidemill-test"}
VARIANTS: list[dict[str, Any]] = [
    {"database__verifyCa": True, "database__pooler": "transaction"},
    {"operator__clusterWide": False},
    {"auth__existingSecret": "mine"},
]


@pytest.fixture
def services() -> dict[str, Manifest]:
    found: dict[str, Manifest] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


@pytest.mark.parametrize("values", VARIANTS, ids=["verified", "namespaced", "tokens"])
def test_the_charts_variables_are_settings(chart: Chart, values: dict[str, Any]) -> None:
    for where, pod in pods(chart.render(**values)):
        if where in FOREIGN:
            continue
        for container in containers(pod):
            assert set(variables(container)) <= KNOWN, where
            given = {k: v for k, v in variables(container).items() if isinstance(v, str)}
            Settings.load(given)  # refuses a value out of range


def test_the_charts_commands_are_there(chart: Chart) -> None:
    seen = {
        container["args"][0]
        for where, pod in pods(chart.render())
        if where not in FOREIGN
        for container in containers(pod)
    }
    assert seen == {"api", "migrate", "operator", "types", "worker"}
    assert seen <= set(COMMANDS)


def test_composes_variables_are_settings_and_its_commands_are_there(
    services: dict[str, Manifest],
) -> None:
    own = {name: each for name, each in services.items() if "build" in each}
    assert set(own) == {"migrate", "types", "api", "worker"}
    for name, service in own.items():
        assert service["command"][0] in COMMANDS, name
        assert set(service["environment"]) <= KNOWN, name
        Settings.load(service["environment"])
        assert service["read_only"] is True, name


def test_compose_and_chart_run_the_same_postgres(
    chart: Chart, services: dict[str, Manifest]
) -> None:
    postgres = one(chart.render(), "StatefulSet", "tidemill-postgres")
    (container,) = postgres["spec"]["template"]["spec"]["containers"]
    assert services["postgres"]["image"] == container["image"]


def test_an_api_has_time_for_its_drain(chart: Chart, services: dict[str, Manifest]) -> None:
    made = chart.render(api__drainDelaySeconds=60, api__processes=3)
    pod = one(made, "Deployment", "tidemill-api")["spec"]["template"]["spec"]
    settings = Settings.load(
        {k: v for k, v in variables(pod["containers"][0]).items() if isinstance(v, str)}
    )
    assert (settings.api_processes, settings.api_drain_delay_seconds) == (3, 60)
    least = settings.api_drain_delay_seconds + DRAIN_SECONDS + BEYOND_DRAIN_SECONDS
    assert pod["terminationGracePeriodSeconds"] >= least
    grace = float(services["api"]["stop_grace_period"].removesuffix("s"))
    assert grace >= DRAIN_SECONDS + BEYOND_DRAIN_SECONDS


def test_nothing_but_the_api_is_published_and_only_locally(services: dict[str, Manifest]) -> None:
    published = {name: each["ports"] for name, each in services.items() if "ports" in each}
    assert published == {"api": ["127.0.0.1:8080:8080"]}
