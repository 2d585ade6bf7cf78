"""The chart's NetworkPolicies: each pod is reached by those who need it."""

from typing import Any

import pytest

from tests.support.chart import Chart, Manifest, RefusedError, pods

ON: dict[str, Any] = {"networkPolicy__enabled": True}
PROMETHEUS = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}


def policies(made: list[Manifest]) -> dict[str, Manifest]:
    return {m["metadata"]["name"]: m["spec"] for m in made if m["kind"] == "NetworkPolicy"}


def components(peers: list[Manifest]) -> list[str]:
    """Return whom these peers select by Tidemill's own labels."""
    labels = [peer.get("podSelector", {}).get("matchLabels", {}) for peer in peers]
    return [each["app.kubernetes.io/component"] for each in labels if len(each) > 1]


def test_there_are_none_unless_asked(chart: Chart) -> None:
    assert policies(chart.render()) == {}


def test_every_long_running_pod_is_selected_by_exactly_one(chart: Chart) -> None:
    made = chart.render(**ON)
    for where, pod in pods(made):
        labels = pod["metadata"]["labels"].items()
        chosen = [
            name
            for name, spec in policies(made).items()
            if spec["podSelector"]["matchLabels"].items() <= labels
        ]
        assert len(chosen) == (0 if where.startswith("Job/") else 1), where


def test_only_ports_that_the_pods_have_are_opened(chart: Chart) -> None:
    made = chart.render(**ON)
    for where, pod in pods(made):
        ports = {port["name"] for port in pod["spec"]["containers"][0].get("ports", [])}
        for spec in policies(made).values():
            if spec["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items():
                opened = {port["port"] for rule in spec["ingress"] for port in rule["ports"]}
                assert opened == ports, where


def test_the_database_is_reached_by_those_that_use_it_and_calls_nobody(chart: Chart) -> None:
    spec = policies(chart.render(**ON))["tidemill-postgres"]
    assert (spec["policyTypes"], spec["egress"]) == (["Ingress", "Egress"], [])
    (rule,) = spec["ingress"]
    assert components(rule["from"]) == ["api", "operator", "types"]
    assert rule["from"][-1] == {
        "podSelector": {"matchLabels": {"tidemill.dev/worker": "true"}},
        "namespaceSelector": {},
    }


def test_a_namespaced_operators_workers_reach_it_from_their_namespaces(chart: Chart) -> None:
    made = chart.render(**ON, operator__clusterWide=False, operator__namespaces=["a"])
    workers = policies(made)["tidemill-postgres"]["ingress"][0]["from"][-1]
    (expression,) = workers["namespaceSelector"]["matchExpressions"]
    assert expression["values"] == ["a", "team"]
    own = chart.render(**ON, operator__clusterWide=False)
    assert set(policies(own)["tidemill-postgres"]["ingress"][0]["from"][-1]) == {"podSelector"}


def test_peers_of_ones_own_are_let_in_and_nobody_else(chart: Chart) -> None:
    made = policies(
        chart.render(
            **ON,
            networkPolicy__apiFrom=[PROMETHEUS],
            networkPolicy__metricsFrom=[PROMETHEUS],
            networkPolicy__databaseFrom=[PROMETHEUS],
        )
    )
    assert made["tidemill-workers"]["ingress"][0]["from"] == [PROMETHEUS]
    assert made["tidemill-operator"]["ingress"][0]["from"] == [PROMETHEUS]
    assert PROMETHEUS in made["tidemill-postgres"]["ingress"][0]["from"]
    (rule,) = made["tidemill-api"]["ingress"]
    assert rule["from"][0] == PROMETHEUS
    assert components(rule["from"]) == ["test"]


def test_an_external_database_has_no_policy_here(chart: Chart) -> None:
    made = chart.render(**ON, database__mode="external", database__app__existingSecret="mine")
    assert set(policies(made)) == {"tidemill-api", "tidemill-workers", "tidemill-operator"}


@pytest.mark.parametrize("peer", [{}, {"podSelectors": {}}, "10.0.0.0/8"])
def test_what_is_no_peer_is_refused(chart: Chart, peer: Any) -> None:
    with pytest.raises(RefusedError, match="values don't meet the specifications of the schema"):
        chart.render(networkPolicy__apiFrom=[peer])


def test_the_api_server_reaches_the_operators_metrics_where_they_are_served(chart: Chart) -> None:
    values = {"existingSecret": "mine", "caBundle": "PEM", "enabled": True}
    served = chart.render(**ON, operator__externalMetrics=values)
    opened = policies(served)["tidemill-operator"]["ingress"]
    assert opened[-1] == {"ports": [{"port": "metrics"}]}
    pod = dict(pods(served))["Deployment/tidemill-operator"]["spec"]
    assert "metrics" in {port["name"] for port in pod["containers"][0]["ports"]}
