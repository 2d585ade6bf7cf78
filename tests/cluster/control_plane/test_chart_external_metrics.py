"""The chart's external metrics on a real API server: its certificate, and whose API it is."""

import base64
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.aggregation import API_SERVICE
from tests.support.chart import CHART, find_helm
from tests.support.control_plane import NAMESPACE, ControlPlane

RELEASE = "own"
SECRET = "own-tidemill-operator-metrics"
HOST = f"{SECRET}.{NAMESPACE}.svc"


@pytest.fixture
def helm(clean: ControlPlane) -> Iterator["Helm"]:
    program = find_helm("helm") or find_helm("helm3")
    if program is None:
        pytest.skip("needs helm")
    yield Helm(program, clean)
    Helm(program, clean).run("uninstall", RELEASE, "--ignore-not-found", check=False)
    clean.run("delete", "apiservice", API_SERVICE, "--ignore-not-found")


class Helm:
    def __init__(self, program: str, plane: ControlPlane) -> None:
        self._program = program
        self._plane = plane

    def run(self, *arguments: str, check: bool = True) -> str:
        access = ["--kubeconfig", str(self._plane.kubeconfig), "-n", NAMESPACE]
        done = subprocess.run(
            [self._program, *arguments, *access], check=False, capture_output=True, text=True
        )
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout + done.stderr

    def install(self, release: str = RELEASE, *, verb: str = "install", check: bool = True) -> str:
        values = (
            "operator.externalMetrics.enabled=true",
            "database.mode=external",
            "database.app.existingSecret=mine",
        )
        options = ["--skip-crds", "--no-hooks", "--set", ",".join(values)]
        return self.run(verb, release, str(CHART), *options, check=check)


def shown(plane: ControlPlane) -> dict[str, bytes]:
    data = plane.get("secret", SECRET)["data"]
    return {key: base64.b64decode(value) for key, value in data.items()}


def test_the_certificate_is_the_services_and_stays_when_the_release_is_upgraded(
    helm: Helm, clean: ControlPlane, tmp_path: Path
) -> None:
    helm.install()
    made = shown(clean)
    api = clean.get("apiservice", API_SERVICE)["spec"]
    assert base64.b64decode(api["caBundle"]) == made["ca.crt"]
    assert f"{api['service']['name']}.{api['service']['namespace']}.svc" == HOST
    for name in ("ca.crt", "tls.crt"):
        (tmp_path / name).write_bytes(made[name])
    verify = ["openssl", "verify", "-verify_hostname", HOST, "-purpose", "sslserver"]
    trusted = ["-CAfile", str(tmp_path / "ca.crt"), str(tmp_path / "tls.crt")]
    done = subprocess.run([*verify, *trusted], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    helm.install(verb="upgrade")
    assert shown(clean) == made
    second = helm.install("second", check=False)
    assert f"has APIService {API_SERVICE} already, served by {NAMESPACE}/{SECRET}" in second


def test_an_api_that_somebody_else_serves_is_left_alone(helm: Helm, clean: ControlPlane) -> None:
    theirs = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": API_SERVICE},
        "spec": {
            "group": "external.metrics.k8s.io",
            "version": "v1beta1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "insecureSkipTLSVerify": True,
            "service": {"name": "keda-operator-metrics-apiserver", "namespace": "keda"},
        },
    }
    clean.apply(theirs)
    refused = helm.install(check=False)
    assert "served by keda/keda-operator-metrics-apiserver" in refused
    assert "leave operator.externalMetrics.enabled off" in refused
    assert helm.run("list", "-q").strip() == ""
    service = clean.get("apiservice", API_SERVICE)["spec"]["service"]
    assert service["namespace"] == "keda"
