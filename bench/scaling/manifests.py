"""The objects that are measured. Pure."""

from collections.abc import Mapping
from typing import Any

Manifest = dict[str, Any]

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
