"""Monitors, alerts and dashboard: for what there is, and nothing unless asked."""

import json
import re
from typing import Any

import pytest
import yaml

from tests.support.chart import CHART, ROOT, Chart, Manifest, RefusedError, one, pods
from tidemill_operator.resources import WORKER_LABEL

KINDS = {"PodMonitor", "PrometheusRule"}
ALERTS = CHART / "files" / "alerts.yaml"
CASES = ROOT / "tests" / "alerts.yaml"
DASHBOARD = CHART / "files" / "dashboard.json"
MONITORS: dict[str, Any] = {"monitoring__podMonitor__enabled": True}
RULES: dict[str, Any] = {"monitoring__rules__enabled": True}


def alerts() -> list[Manifest]:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def known_metrics() -> set[str]:
    text = (ROOT / "docs" / "observability.md").read_text()
    listed = re.findall(r"^\| `(tidemill_\w+)` \| (\w+)", text, re.MULTILINE)
    found = {name for name, _ in listed}
    for name, kind in listed:
        if kind == "histogram":
            found |= {f"{name}_bucket", f"{name}_count", f"{name}_sum"}
    return found


def test_nothing_of_it_is_there_unless_asked(chart: Chart) -> None:
    made = chart.render()
    assert not KINDS & {each["kind"] for each in made}
    assert "tidemill-dashboard" not in {each["metadata"]["name"] for each in made}


def test_monitors_find_every_pod_that_has_metrics(chart: Chart) -> None:
    made = chart.render(**MONITORS, monitoring__podMonitor__labels={"release": "prom"})
    templates = dict(pods(made))
    for component in ("api", "worker", "operator"):
        monitor = one(made, "PodMonitor", f"tidemill-{component}")
        assert monitor["metadata"]["labels"]["release"] == "prom"
        pod = templates[f"Deployment/tidemill-{component}"]
        wanted = monitor["spec"]["selector"]["matchLabels"]
        assert wanted.items() <= pod["metadata"]["labels"].items()
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        ports = {port["name"] for port in pod["spec"]["containers"][0]["ports"]}
        assert endpoint["port"] in ports
        assert "authorization" not in endpoint


def test_workers_of_taskqueues_are_scraped_where_the_operator_looks(chart: Chart) -> None:
    made = one(chart.render(**MONITORS), "PodMonitor", "tidemill-worker")["spec"]
    assert made["selector"] == {"matchLabels": {WORKER_LABEL: "true"}}
    assert made["namespaceSelector"] == {"any": True}
    scoped = chart.render(
        **MONITORS, operator__clusterWide=False, operator__namespaces=["a", "team"]
    )
    made = one(scoped, "PodMonitor", "tidemill-worker")["spec"]
    assert made["namespaceSelector"] == {"matchNames": ["a", "team"]}


def test_where_the_api_asks_for_tokens_its_monitor_sends_one(chart: Chart) -> None:
    made = chart.render(**MONITORS, monitoring__podMonitor__tokenSecret="scrape")
    (endpoint,) = one(made, "PodMonitor", "tidemill-api")["spec"]["podMetricsEndpoints"]
    assert endpoint["authorization"] == {"credentials": {"name": "scrape", "key": "token"}}


def test_the_rules_are_those_of_the_file_with_their_links(chart: Chart) -> None:
    made = chart.render(**RULES, monitoring__rules__runbooks="https://wiki/tidemill")
    groups = one(made, "PrometheusRule", "tidemill")["spec"]["groups"]
    rendered = [rule for group in groups for rule in group["rules"]]
    for rule in rendered:
        link = rule["annotations"]["runbook_url"]
        assert link == f"https://wiki/tidemill#{rule['alert'].lower()}"
        rule["annotations"]["runbook_url"] = link.replace("https://wiki/tidemill", "RUNBOOKS")
    assert rendered == alerts()


def test_without_an_operator_no_alert_misses_it(chart: Chart) -> None:
    made = chart.render(**RULES, operator__enabled=False)
    (group,) = one(made, "PrometheusRule", "tidemill")["spec"]["groups"]
    assert "operator" not in json.dumps(group).lower()


def test_every_alert_has_a_runbook_and_no_runbook_is_left_over() -> None:
    text = (ROOT / "docs" / "runbooks.md").read_text()
    sections = re.findall(r"^## (\w+)$", text, re.MULTILINE)
    assert sections == [rule["alert"] for rule in alerts()]


def test_every_alert_has_a_case_that_fires_and_one_that_does_not() -> None:
    seen: dict[str, set[bool]] = {}
    for test in yaml.safe_load(CASES.read_text())["tests"]:
        for case in test["alert_rule_test"]:
            seen.setdefault(case["alertname"], set()).add(bool(case.get("exp_alerts")))
    assert seen == {rule["alert"]: {True, False} for rule in alerts()}


def test_alerts_and_dashboard_ask_for_metrics_that_there_are() -> None:
    asked = set(re.findall(r"tidemill_\w+", DASHBOARD.read_text()))
    for rule in alerts():
        asked |= set(re.findall(r"tidemill_\w+", rule["expr"]))
    assert asked - known_metrics() == set()


def test_the_dashboard_is_mounted_as_it_is(chart: Chart) -> None:
    made = chart.render(monitoring__dashboard__enabled=True)
    board = one(made, "ConfigMap", "tidemill-dashboard")
    assert board["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(board["data"]["tidemill.json"]) == json.loads(DASHBOARD.read_text())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("monitoring__serviceMonitor", {}),
        ("monitoring__podMonitor__interval", "often"),
        ("monitoring__rules__runbooks", ""),
        ("monitoring__dashboard__labels", {"a": 1}),
    ],
)
def test_mistakes_here_are_refused(chart: Chart, name: str, value: Any) -> None:
    with pytest.raises(RefusedError, match="values don't meet the specifications of the schema"):
        chart.render(**{name: value})
