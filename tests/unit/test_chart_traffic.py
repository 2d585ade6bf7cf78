"""The chart's way in from outside, the API's replicas, and what a node's drain may take."""

from typing import Any

import pytest

from tests.support.chart import Chart, Manifest, RefusedError, names, one, pods

INGRESS = {"api__ingress__enabled": True, "api__ingress__host": "tasks.example.com"}
ROUTE: dict[str, Any] = {
    "api__httpRoute__enabled": True,
    "api__httpRoute__parentRefs": [{"name": "public", "namespace": "gateways"}],
}


def kinds(made: list[Manifest]) -> set[str]:
    return {each["kind"] for each in made}


def test_nothing_leads_in_from_outside_unless_asked(chart: Chart) -> None:
    assert not {"Ingress", "HTTPRoute", "HorizontalPodAutoscaler"} & kinds(chart.render())
    assert one(chart.render(), "Service", "tidemill-api")["spec"]["type"] == "ClusterIP"


def test_an_ingress_leads_to_the_api(chart: Chart) -> None:
    made = chart.render(**INGRESS, api__ingress__className="nginx", api__ingress__tlsSecret="tls")
    spec = one(made, "Ingress", "tidemill-api")["spec"]
    (rule,) = spec["rules"]
    backend = rule["http"]["paths"][0]["backend"]["service"]
    service = one(made, "Service", backend["name"])
    assert backend["port"]["name"] in {port["name"] for port in service["spec"]["ports"]}
    assert (rule["host"], spec["ingressClassName"]) == ("tasks.example.com", "nginx")
    assert spec["tls"] == [{"hosts": ["tasks.example.com"], "secretName": "tls"}]


def test_an_ingress_of_the_clusters_default_class_without_tls(chart: Chart) -> None:
    spec = one(chart.render(**INGRESS), "Ingress", "tidemill-api")["spec"]
    assert set(spec) == {"rules"}


def test_a_route_leads_from_its_gateway_to_the_api(chart: Chart) -> None:
    made = chart.render(**ROUTE, api__httpRoute__hostnames=["tasks.example.com"])
    spec = one(made, "HTTPRoute", "tidemill-api")["spec"]
    assert spec["parentRefs"] == [{"name": "public", "namespace": "gateways"}]
    assert spec["hostnames"] == ["tasks.example.com"]
    (backend,) = spec["rules"][0]["backendRefs"]
    (port,) = one(made, "Service", backend["name"])["spec"]["ports"]
    assert backend["port"] == port["port"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"api__ingress__enabled": True}, r"api\.ingress\.host must name the host"),
        ({"api__httpRoute__enabled": True}, r"api\.httpRoute\.parentRefs must name a Gateway"),
        (
            {"api__autoscaling__enabled": True, "api__autoscaling__minReplicas": 7},
            r"minReplicas must not be above maxReplicas",
        ),
    ],
)
def test_a_half_of_it_is_refused_in_words(chart: Chart, values: dict[str, Any], said: str) -> None:
    with pytest.raises(RefusedError, match=said):
        chart.render(**values)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("api__ingress__hosts", ["a.example.com"]),
        ("api__ingress__host", "not a host"),
        ("api__httpRoute__parentRefs", [{"nmae": "public"}]),
        ("api__autoscaling__targetCpu", 80),
        ("api__disruptionBudget__minAvailable", 1),
        ("api__disruptionBudget__maxUnavailable", 0),
        ("worker__disruptionBudget__maxUnavailable", "0%"),
        ("worker__spreadOver", "kubernetes.io/hostname"),
    ],
)
def test_mistakes_here_are_refused(chart: Chart, name: str, value: Any) -> None:
    with pytest.raises(RefusedError, match="values don't meet the specifications of the schema"):
        chart.render(**{name: value})


def test_where_the_autoscaler_sets_the_replicas_nobody_else_does(chart: Chart) -> None:
    made = chart.render(api__autoscaling__enabled=True, api__autoscaling__maxReplicas=9)
    scaler = one(made, "HorizontalPodAutoscaler", "tidemill-api")["spec"]
    target = one(made, scaler["scaleTargetRef"]["kind"], scaler["scaleTargetRef"]["name"])
    assert "replicas" not in target["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 9)
    assert one(chart.render(), "Deployment", "tidemill-api")["spec"]["replicas"] == 2


def test_budgets_select_the_pods_of_their_component(chart: Chart) -> None:
    made = chart.render(operator__replicas=2)
    budgets = [each for each in made if each["kind"] == "PodDisruptionBudget"]
    assert {each["metadata"]["name"] for each in budgets} == {
        "tidemill-api",
        "tidemill-worker",
        "tidemill-operator",
    }
    for budget in budgets:
        target = one(made, "Deployment", budget["metadata"]["name"])["spec"]
        assert budget["spec"]["selector"] == target["selector"]
        assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_a_single_operator_and_components_that_are_off_have_no_budget(chart: Chart) -> None:
    assert "PodDisruptionBudget/tidemill-operator" not in names(chart.render())
    off = chart.render(
        api__disruptionBudget__enabled=False, worker__enabled=False, taskQueue__enabled=False
    )
    assert "PodDisruptionBudget" not in kinds(off)


def test_replicas_are_spread_softly_over_nodes_and_zones(chart: Chart) -> None:
    made = chart.render(worker__spreadOver=[])
    spread = {where: pod["spec"].get("topologySpreadConstraints", []) for where, pod in pods(made)}
    labels = dict(pods(made))["Deployment/tidemill-api"]["metadata"]["labels"]
    assert [each["topologyKey"] for each in spread["Deployment/tidemill-api"]] == [
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
    ]
    for each in spread["Deployment/tidemill-api"]:
        assert each["whenUnsatisfiable"] == "ScheduleAnyway"
        assert each["labelSelector"]["matchLabels"].items() <= labels.items()
    assert spread["Deployment/tidemill-worker"] == []
