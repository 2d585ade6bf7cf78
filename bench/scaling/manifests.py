"""The objects that are measured. Pure."""

from collections.abc import Mapping
from typing import Any

Manifest = dict[str, Any]

NAPS = "naps"
_FOLDER = "/bench"

PROBE_PORT = 8081


def deployment(name: str, container: Mapping[str, Any], **pod: Any) -> Manifest:
    """Return a Deployment of workers, of none to begin with, with their readiness probe."""
    labels = {"app": name, "tidemill.dev/worker": "true"}
    probe = {
        "httpGet": {"path": "/readyz", "port": PROBE_PORT},
        "periodSeconds": 1,
        "failureThreshold": 1,
    }
    containers = [{"name": "worker", "readinessProbe": probe, **container}]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": containers, **pod},
            },
        },
    }


def scaled(name: str, scaling: Mapping[str, Any]) -> Manifest:
    """Return a TaskQueue that scales the Deployment of its name by the queue of its name."""
    return {
        "apiVersion": "tidemill.dev/v1alpha1",
        "kind": "TaskQueue",
        "metadata": {"name": name},
        "spec": {"scaleTargetRef": {"name": name}, "scaling": dict(scaling)},
    }


def naps(source: str) -> Manifest:
    """Return the ConfigMap that brings the app of `bench/naps.py` into pods."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": NAPS},
        "data": {f"{NAPS}.py": source},
    }


def owned(name: str, scaling: Mapping[str, Any], *, concurrency: int = 1) -> Manifest:
    """Return a TaskQueue with workers of its own that run the app of `naps`."""
    made = scaled(name, scaling)
    del made["spec"]["scaleTargetRef"]
    made["spec"]["worker"] = {
        "app": f"{NAPS}:app",
        "concurrency": concurrency,
        "env": [{"name": "PYTHONPATH", "value": _FOLDER}],
        "resources": RESOURCES,
        "pod": {
            "volumes": [{"name": NAPS, "configMap": {"name": NAPS}}],
            "volumeMounts": [{"name": NAPS, "mountPath": _FOLDER, "readOnly": True}],
        },
    }
    return made


def bare(name: str, image: str) -> Manifest:
    """Return a pod of an image that prints the time as soon as its program runs, and ends."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "bare",
                    "image": image,
                    "command": ["python3", "-c", "import time; print(time.time())"],
                    "resources": RESOURCES,
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
        },
    }


RESOURCES = {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "384Mi"}}
