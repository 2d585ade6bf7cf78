"""The chart's external metrics: off by default, and what it refuses where it could not work."""

import base64
from typing import Any

import pytest

from tests.support.chart import Chart, Manifest, RefusedError, names, one, variables

ON: dict[str, Any] = {"operator__externalMetrics__enabled": True}
GIVEN = ON | {
    "operator__externalMetrics__existingSecret": "mine",
    "operator__externalMetrics__caBundle": "-----BEGIN CERTIFICATE-----\n",
}
NAME = "tidemill-operator-metrics"
API_SERVICE = "v1beta1.external.metrics.k8s.io"


def operator_pod(made: list[Manifest]) -> Manifest:
    found: Manifest = one(made, "Deployment", "tidemill-operator")["spec"]["template"]["spec"]
    return found


def test_by_default_there_is_no_trace_of_it(chart: Chart) -> None:
    made = chart.render()
    assert not [each for each in names(made) if each.startswith("APIService/")]
    (container,) = operator_pod(made)["containers"]
    assert not [each for each in variables(container) if "METRICS" in each]
    assert [each["name"] for each in container["ports"]] == ["probes"]


def test_the_api_service_leads_to_the_operators_port_and_certificate(chart: Chart) -> None:
    made = chart.render(**GIVEN)
    api = one(made, "APIService", API_SERVICE)["spec"]
    assert base64.b64decode(api["caBundle"]).decode() == "-----BEGIN CERTIFICATE-----\n"
    service = one(made, "Service", api["service"]["name"])["spec"]
    (port,) = service["ports"]
    assert port["port"] == api["service"]["port"]
    pod = operator_pod(made)
    (container,) = pod["containers"]
    listening = {each["name"]: each["containerPort"] for each in container["ports"]}
    given = variables(container)
    assert given["TIDEMILL_OPERATOR_METRICS_PORT"] == str(listening[port["targetPort"]])
    mounts = {each["mountPath"]: each["name"] for each in container["volumeMounts"]}
    volume = mounts[given["TIDEMILL_OPERATOR_METRICS_CERTS"]]
    secrets = {each["name"]: each["secret"] for each in pod["volumes"] if "secret" in each}
    assert secrets[volume]["secretName"] == "mine"
    labels = one(made, "Deployment", "tidemill-operator")["spec"]["template"]["metadata"]["labels"]
    assert service["selector"].items() <= labels.items()


def test_the_operator_may_ask_and_read_what_it_needs_for_it(chart: Chart) -> None:
    made = chart.render(**GIVEN)
    roles = {
        (each["kind"], each["metadata"].get("namespace")): each["roleRef"]["name"]
        for each in made
        if each["metadata"]["name"] == f"team-{NAME}"
    }
    assert roles == {
        ("ClusterRoleBinding", None): "system:auth-delegator",
        ("RoleBinding", "kube-system"): "extension-apiserver-authentication-reader",
    }


def test_somebody_else_may_put_the_authority_in(chart: Chart) -> None:
    given = GIVEN | {
        "operator__externalMetrics__caBundle": "",
        "operator__externalMetrics__annotations": {"cert-manager.io/inject-ca-from": "team/x"},
    }
    api = one(chart.render(**given), "APIService", API_SERVICE)
    assert "caBundle" not in api["spec"]
    assert api["metadata"]["annotations"] == {"cert-manager.io/inject-ca-from": "team/x"}


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (ON, r"existingSecret must name a Secret where the cluster cannot be looked at"),
        (GIVEN | {"operator__clusterWide": False}, r"externalMetrics needs operator\.clusterWide"),
        (GIVEN | {"operator__externalMetrics__caBundle": ""}, r"caBundle must be the PEM"),
        (ON | {"operator__externalMetrics__port": 1}, r"specifications of the schema"),
    ],
)
def test_what_could_not_work_is_refused(chart: Chart, values: dict[str, Any], why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        chart.render(**values)
