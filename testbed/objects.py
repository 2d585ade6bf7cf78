"""What `up` puts into the cluster: CoreDNS's rights, a storage class and its volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.cluster import Cluster

STORAGE_CLASS = "local"
VOLUMES = 16
VOLUME_SIZE = "10Gi"
Manifest = dict[str, object]


def storage_class() -> Manifest:
    """Return the default class: a claim is bound when its first pod is scheduled."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": STORAGE_CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }


def volume(cluster: Cluster, name: str, folder: Path) -> Manifest:
    """Return a local volume: unlike a hostPath it obeys `fsGroup`."""
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [cluster.name]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": VOLUME_SIZE},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": STORAGE_CLASS,
            "local": {"path": str(folder)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        },
    }


def dns_rights() -> list[Manifest]:
    """Return the role of CoreDNS and its binding to the certificate's name."""
    name = "tidemill-testbed:dns"
    group = "rbac.authorization.k8s.io"
    resources = {"": ["endpoints", "services", "pods", "namespaces", "nodes"]}
    resources["discovery.k8s.io"] = ["endpointslices"]
    rules = [
        {"apiGroups": [api], "resources": kinds, "verbs": ["list", "watch", "get"]}
        for api, kinds in resources.items()
    ]
    metadata = {"name": name}
    return [
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRole",
            "metadata": metadata,
            "rules": rules,
        },
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": group, "kind": "User", "name": name}],
        },
    ]
