"""Every pod of the chart passes the restricted Pod Security Standard, with a read-only root."""

import re
from typing import Any

import pytest

from tests.support.chart import Chart, Manifest, containers, one, pods

# Volume types that the restricted standard allows, of those that could appear.
ALLOWED_VOLUMES = {"emptyDir", "configMap", "secret", "projected", "persistentVolumeClaim"}
VARIANTS: list[dict[str, Any]] = [
    {},
    {"database__verifyCa": True, "taskQueue__enabled": False},
    {"database__mode": "external", "database__app__existingSecret": "mine"},
]


@pytest.fixture(params=VARIANTS, ids=["bundled", "verified", "external"])
def manifests(chart: Chart, request: pytest.FixtureRequest) -> list[Manifest]:
    return chart.render(**request.param)


def test_pods_are_restricted(manifests: list[Manifest]) -> None:
    seen = dict(pods(manifests))
    assert {"Deployment/tidemill-api", "Deployment/tidemill-worker", "Job/tidemill-types"} < set(
        seen
    )
    for where, pod in seen.items():
        spec = pod["spec"]
        context = spec["securityContext"]
        assert context["runAsNonRoot"] is True, where
        assert context["runAsUser"] > 0, where
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, where
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), where
        for volume in spec["volumes"]:
            assert set(volume) - {"name"} <= ALLOWED_VOLUMES, where


def test_containers_are_restricted_with_a_read_only_root(manifests: list[Manifest]) -> None:
    for where, pod in pods(manifests):
        for container in containers(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, where
            mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
            assert "/tmp" in mounts, where  # noqa: S108  # the pod's own


def test_containers_ask_for_resources_and_name_a_version(manifests: list[Manifest]) -> None:
    for where, pod in pods(manifests):
        for container in containers(pod):
            assert set(container["resources"]["requests"]) == {"cpu", "memory"}, where
            assert "memory" in container["resources"]["limits"], where
            assert re.fullmatch(r"[^:]+:\d+\.\d+(\.\d+)?", container["image"]), where


def test_only_the_operator_gets_a_token(manifests: list[Manifest]) -> None:
    with_token = {
        where for where, pod in pods(manifests) if pod["spec"]["automountServiceAccountToken"]
    }
    assert with_token == {"Deployment/tidemill-operator"}
    for manifest in manifests:
        if manifest["kind"] == "ServiceAccount":
            assert manifest["automountServiceAccountToken"] is False


def test_the_operators_rules_name_no_wildcard(chart: Chart) -> None:
    rules = one(chart.render(), "ClusterRole", "team-tidemill-operator")["rules"]
    for rule in rules:
        assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
    secrets = [rule["verbs"] for rule in rules if "secrets" in rule["resources"]]
    assert secrets == [["get"]]


def test_a_worker_has_ten_seconds_beyond_its_drain(chart: Chart) -> None:
    made = chart.render(worker__drainSeconds=120)
    pod = one(made, "Deployment", "tidemill-worker")["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == 130
    probe = pod["containers"][0]["readinessProbe"]
    assert (probe["periodSeconds"], probe["failureThreshold"]) == (1, 1)


def test_every_long_running_container_is_probed(manifests: list[Manifest]) -> None:
    for where, pod in pods(manifests):
        if where.startswith("Job/"):
            continue
        for container in pod["spec"]["containers"]:
            assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container), where


def test_objects_carry_the_recommended_labels(manifests: list[Manifest]) -> None:
    for manifest in manifests:
        if manifest["kind"] == "CustomResourceDefinition":
            continue
        labels = manifest["metadata"]["labels"]
        assert labels["app.kubernetes.io/part-of"] == "tidemill"
        assert labels["app.kubernetes.io/instance"] == "tidemill"
