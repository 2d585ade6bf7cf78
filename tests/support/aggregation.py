"""An API server that has the operator answer for external.metrics.k8s.io, and HPAs that ask."""

import base64
import contextlib
import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.support.control_plane import NAMESPACE, ControlPlane
from tests.support.tls import Authority
from tests.support.waiting import until

Manifest = dict[str, Any]

SERVICE = "tidemill-external-metrics"
API_SERVICE = "v1beta1.external.metrics.k8s.io"
METRICS = f"/apis/external.metrics.k8s.io/v1beta1/namespaces/{NAMESPACE}"


def certificates(folder: Path, authority: Authority) -> Path:
    """Return a folder with tls.crt and tls.key of the Service, as a Secret's volume has them."""
    certificate, key = authority.sign("metrics", f"{SERVICE}.{NAMESPACE}.svc", "127.0.0.1")
    shown = folder / "certificates"
    shown.mkdir(exist_ok=True)
    (shown / "tls.key").write_bytes(key.read_bytes())
    (shown / "tls.crt").write_bytes(certificate.read_bytes())
    return shown


def allow(plane: ControlPlane) -> None:
    """Give the operator's account what the chart gives it for external.metrics.k8s.io."""
    group = "rbac.authorization.k8s.io"
    account = {"kind": "ServiceAccount", "name": "tidemill-operator", "namespace": NAMESPACE}
    meta = {"apiVersion": f"{group}/v1", "metadata": {"name": SERVICE}, "subjects": [account]}
    delegator = {"apiGroup": group, "kind": "ClusterRole", "name": "system:auth-delegator"}
    plane.apply({**meta, "kind": "ClusterRoleBinding", "roleRef": delegator})
    reader = "extension-apiserver-authentication-reader"
    role = {"apiGroup": group, "kind": "Role", "name": reader}
    kube_system = replace(plane, namespace="kube-system")
    kube_system.apply({**meta, "kind": "RoleBinding", "roleRef": role})


def aggregate(plane: ControlPlane, authority: Authority, port: int) -> None:
    """Have the API server ask 127.0.0.1:`port`, and wait until it does."""
    plane.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": SERVICE},
            "spec": {"type": "ExternalName", "externalName": "localhost"},
        }
    )
    bundle = base64.b64encode(authority.certificate.read_bytes()).decode()
    plane.apply(
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": API_SERVICE},
            "spec": {
                "group": "external.metrics.k8s.io",
                "version": "v1beta1",
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "caBundle": bundle,
                "service": {"name": SERVICE, "namespace": NAMESPACE, "port": port},
            },
        }
    )
    until(lambda: "True" in available(plane), seconds=120, what="the API server reaches it")


def available(plane: ControlPlane) -> str:
    """Return the APIService's condition Available, with why."""
    conditions = plane.get("apiservice", API_SERVICE).get("status", {}).get("conditions", [])
    found = [each for each in conditions if each["type"] == "Available"]
    return " ".join([found[0]["status"], found[0].get("message", "")]) if found else ""


def part(plane: ControlPlane) -> None:
    """Take the APIService and its Service away."""
    plane.run("delete", "apiservice", API_SERVICE, "--ignore-not-found")
    plane.run("delete", "service", SERVICE, "--ignore-not-found")


def values(plane: ControlPlane, metric: str, selector: str = "", *options: str) -> dict[str, str]:
    """Return a metric's values by queue, asked of the API server; fails with what it said."""
    query = f"?labelSelector={selector}" if selector else ""
    found = json.loads(plane.run("get", "--raw", f"{METRICS}/{metric}{query}", *options))
    assert found["kind"] == "ExternalMetricValueList"
    return {each["metricLabels"]["queue"]: each["value"] for each in found["items"]}


def refusal(plane: ControlPlane, metric: str, selector: str = "", *options: str) -> str:
    """Return why the API server has no values of a metric; '' where it has."""
    query = f"?labelSelector={selector}" if selector else ""
    said = plane.run("get", "--raw", f"{METRICS}/{metric}{query}", *options, check=False)
    return "" if "ExternalMetricValueList" in said else said


def asked(
    port: int,
    path: str,
    *,
    authority: Authority,
    proxy: tuple[Path, Path] | None,
    headers: Mapping[str, str],
) -> tuple[int, Any]:
    """Ask the operator itself, as the owner of the `proxy` certificate; return status and body."""
    context = ssl.create_default_context(cafile=str(authority.certificate))
    if proxy is not None:
        context.load_cert_chain(*proxy)
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=30, context=context)
    with contextlib.closing(connection):
        connection.request("GET", path, headers=dict(headers))
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def front_proxy(plane: ControlPlane) -> tuple[Path, Path]:
    """Return the certificate and key that the API server shows to extension API servers."""
    pki = plane.kubeconfig.parent / "pki"
    return pki / "front-client.crt", pki / "front-client.key"
