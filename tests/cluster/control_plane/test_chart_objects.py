"""What the chart renders is taken by a real API server, which knows each field of it."""

import json
from typing import Any

import pytest

from tests.support.chart import Chart, Manifest, find_helm
from tests.support.control_plane import NAMESPACE, ControlPlane

# Kinds whose definitions are somebody else's: this API server has none of them.
FOREIGN = ("monitoring.coreos.com/", "gateway.networking.k8s.io/")
WHOLE: dict[str, Any] = {
    "api__ingress__enabled": True,
    "api__ingress__host": "tasks.example.com",
    "api__ingress__className": "nginx",
    "api__ingress__tlsSecret": "tls",
    "api__autoscaling__enabled": True,
    "operator__replicas": 2,
    "networkPolicy__enabled": True,
    "monitoring__dashboard__enabled": True,
    "auth__existingSecret": "tokens",
    "test__tokenSecret": "token",
    "database__verifyCa": True,
    "database__pooler": "transaction",
}
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "whole": WHOLE,
    "namespaced": {"operator__clusterWide": False, "networkPolicy__enabled": True},
    "external": {"database__mode": "external", "database__app__existingSecret": "mine"},
}


def rendered(values: dict[str, Any]) -> list[Manifest]:
    program = find_helm("helm") or find_helm("helm3")
    if program is None:
        pytest.skip("needs helm")
    made = [
        each
        for each in Chart(program).render(**values)
        if each["kind"] != "CustomResourceDefinition" and not each["apiVersion"].startswith(FOREIGN)
    ]
    for each in made:
        if "namespace" in each["metadata"]:
            each["metadata"]["namespace"] = NAMESPACE
    return made


def dry_run(plane: ControlPlane, objects: list[Manifest]) -> str:
    """Have the API server check the objects, every field of them; return what it says."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    options = ["--server-side", "--dry-run=server", "--validate=strict", "--field-manager=helm"]
    return plane.run("apply", *options, "-f", "-", text=text, check=False)


@pytest.mark.parametrize("values", VARIANTS.values(), ids=VARIANTS)
def test_every_object_is_accepted_with_every_field(
    clean: ControlPlane, values: dict[str, Any]
) -> None:
    made = rendered(values)
    said = dry_run(clean, made).splitlines()
    assert [line for line in said if not line.endswith("(server dry run)")] == []
    assert len(said) == len(made)


def test_a_field_that_kubernetes_lacks_would_be_noticed(clean: ControlPlane) -> None:
    (budget, *_) = [each for each in rendered({}) if each["kind"] == "PodDisruptionBudget"]
    budget["spec"]["maxUnavailble"] = 1
    assert "(server dry run)" not in dry_run(clean, [budget])
