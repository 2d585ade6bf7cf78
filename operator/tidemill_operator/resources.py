"""The workers' Deployment as a value: built from a TaskQueue, applied elsewhere.

Everything here is what server-side apply will own. `spec.replicas` is left out unless asked for:
who scales owns it. The pod passes the restricted Pod Security Standard with a read-only root.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tidemill_operator.body import part, parts
from tidemill_operator.policy import EVERY_QUEUE

Json = dict[str, Any]

API_VERSION = "tidemill.dev/v1alpha1"
KIND = "TaskQueue"
LABEL = "tidemill.dev/taskqueue"
MANAGED_BY = {"app.kubernetes.io/managed-by": "tidemill-operator"}
WORKER_LABEL = "tidemill.dev/worker"
"""On each pod that runs a worker: by it the operator sees them die."""
CONTAINER = "worker"
PROBE_PORT = 8081
GRACE_BEYOND_DRAIN_SECONDS = 10
CA_FOLDER = "/etc/tidemill/database"
CA_KEY, URL_KEY = "ca.crt", "url"
# What else the database's Secret may say: how its address is to be used.
MORE_KEYS = {
    "TIDEMILL_DATABASE_DIRECT_URL": "direct-url",
    "TIDEMILL_DATABASE_POOLER": "pooler",
}

# Taken over from `spec.worker.pod` as they are.
POD_FIELDS = (
    "nodeSelector",
    "tolerations",
    "affinity",
    "topologySpreadConstraints",
    "serviceAccountName",
    "priorityClassName",
    "runtimeClassName",
    "imagePullSecrets",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerDefaults:
    """What a TaskQueue that does not say gets, and whether its Secret has a CA certificate."""

    image: str
    app: str
    with_ca: bool = False


def worker_name(task_queue: Mapping[str, Any]) -> str:
    """Return the name of the Deployment that the operator owns for a TaskQueue."""
    return f"{task_queue['metadata']['name']}-worker"


def queue_of(task_queue: Mapping[str, Any]) -> str:
    """Return the queue that a TaskQueue names, or '*'."""
    named: str = task_queue["spec"].get("queue") or task_queue["metadata"]["name"]
    return named


def secret_name(task_queue: Mapping[str, Any]) -> str:
    """Return the Secret with the database's address for `spec.worker`."""
    reference = part(task_queue, "spec", "worker", "databaseSecretRef")
    name: str = reference.get("name", "tidemill-database")
    return name


def owner_reference(task_queue: Mapping[str, Any]) -> Json:
    """Return the reference that has the Deployment collected when the TaskQueue goes."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": task_queue["metadata"]["name"],
        "uid": task_queue["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": False,
    }


def selector_labels(task_queue: Mapping[str, Any]) -> dict[str, str]:
    """Return the labels that select the worker pods; they never change."""
    return {
        "app.kubernetes.io/name": "tidemill-worker",
        LABEL: task_queue["metadata"]["name"],
    }


def deployment(
    task_queue: Mapping[str, Any], defaults: WorkerDefaults, *, replicas: int | None = None
) -> Json:
    """Return the Deployment of `spec.worker`."""
    meta = task_queue["metadata"]
    labels = {**selector_labels(task_queue), "app.kubernetes.io/instance": meta["name"]}
    spec: Json = {
        "selector": {"matchLabels": selector_labels(task_queue)},
        "revisionHistoryLimit": 3,
        "template": _pod_template(
            task_queue, labels | MANAGED_BY | {WORKER_LABEL: "true"}, defaults
        ),
    }
    if replicas is not None:
        spec["replicas"] = replicas
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": worker_name(task_queue),
            "namespace": meta["namespace"],
            "labels": labels | MANAGED_BY,
            "ownerReferences": [owner_reference(task_queue)],
        },
        "spec": spec,
    }


def _pod_template(
    task_queue: Mapping[str, Any], labels: dict[str, str], defaults: WorkerDefaults
) -> Json:
    worker = task_queue["spec"]["worker"]
    pod = part(worker, "pod")
    metadata: Json = {"labels": {**part(pod, "labels"), **labels}}
    if annotations := pod.get("annotations"):
        metadata["annotations"] = dict(annotations)
    return {
        "metadata": metadata,
        "spec": {
            **{name: pod[name] for name in POD_FIELDS if name in pod},
            "containers": [_container(task_queue, defaults)],
            "volumes": _volumes(task_queue, defaults),
            "securityContext": {
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
                **part(pod, "securityContext"),
            },
            # The workers talk to Postgres only; an account asked for by name is meant to be used.
            "automountServiceAccountToken": "serviceAccountName" in pod,
            # A Service called tidemill-… would put TIDEMILL_…_PORT=tcp://… into the environment.
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": drain_seconds(worker) + GRACE_BEYOND_DRAIN_SECONDS,
        },
    }


def drain_seconds(worker: Mapping[str, Any]) -> int:
    """Return how long running tasks may go on in a stopping pod."""
    seconds: int = worker.get("drainSeconds", 30)
    return seconds


def _container(task_queue: Mapping[str, Any], defaults: WorkerDefaults) -> Json:
    worker = task_queue["spec"]["worker"]
    container: Json = {
        "name": CONTAINER,
        "image": worker.get("image") or defaults.image,
        "args": ["worker"],
        "env": _environment(task_queue, defaults),
        "ports": [{"name": "probes", "containerPort": PROBE_PORT, "protocol": "TCP"}],
        "startupProbe": _probe("/healthz", period=1, failures=120),
        "livenessProbe": _probe("/healthz", period=10, failures=3),
        # A draining worker must show itself unready within a second: scale-down waits for it.
        "readinessProbe": _probe("/readyz", period=1, failures=1),
        "resources": part(worker, "resources"),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": _mounts(worker, defaults),
    }
    if policy := worker.get("imagePullPolicy"):
        container["imagePullPolicy"] = policy
    return container


def _probe(path: str, *, period: int, failures: int) -> Json:
    return {
        "httpGet": {"path": path, "port": "probes"},
        "periodSeconds": period,
        "timeoutSeconds": 1 if period == 1 else 3,
        "failureThreshold": failures,
    }


def _environment(task_queue: Mapping[str, Any], defaults: WorkerDefaults) -> list[Json]:
    worker = task_queue["spec"]["worker"]
    secret = {"name": secret_name(task_queue)}
    fixed: dict[str, Any] = {
        "TIDEMILL_APP": worker.get("app") or defaults.app,
        "TIDEMILL_QUEUES": queue_of(task_queue),
        "TIDEMILL_CONCURRENCY": str(worker.get("concurrency", 20)),
        "TIDEMILL_DRAIN_SECONDS": str(drain_seconds(worker)),
        "TIDEMILL_PROBE_HOST": "0.0.0.0",  # noqa: S104  the kubelet asks from outside the pod
        "TIDEMILL_PROBE_PORT": str(PROBE_PORT),
        "TIDEMILL_CONTAINER": CONTAINER,
    }
    if defaults.with_ca:
        fixed["TIDEMILL_DATABASE_CA_FILE"] = f"{CA_FOLDER}/{CA_KEY}"
    return [
        _from_secret("TIDEMILL_DATABASE_URL", secret | {"key": URL_KEY}),
        *(
            _from_secret(name, secret | {"key": key, "optional": True})
            for name, key in MORE_KEYS.items()
        ),
        *({"name": name, "value": value} for name, value in fixed.items()),
        _from_pod("TIDEMILL_POD_UID", "metadata.uid"),
        _from_pod("TIDEMILL_POD_NAME", "metadata.name"),
        *parts(worker, "env"),
    ]


def _from_secret(name: str, key: Json) -> Json:
    return {"name": name, "valueFrom": {"secretKeyRef": key}}


def _from_pod(name: str, path: str) -> Json:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def _volumes(task_queue: Mapping[str, Any], defaults: WorkerDefaults) -> list[Json]:
    volumes: list[Json] = [{"name": "tmp", "emptyDir": {}}]
    if defaults.with_ca:
        items = [{"key": CA_KEY, "path": CA_KEY}]
        secret = {"secretName": secret_name(task_queue), "items": items}
        volumes.append({"name": "database-ca", "secret": secret})
    return [*volumes, *parts(task_queue, "spec", "worker", "pod", "volumes")]


def _mounts(worker: Mapping[str, Any], defaults: WorkerDefaults) -> list[Json]:
    mounts: list[Json] = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108  an emptyDir's place
    if defaults.with_ca:
        mounts.append({"name": "database-ca", "mountPath": CA_FOLDER, "readOnly": True})
    return [*mounts, *parts(worker, "pod", "volumeMounts")]


def serves_every_queue(task_queue: Mapping[str, Any]) -> bool:
    """Return whether the TaskQueue is for all queues that no other one names."""
    return queue_of(task_queue) == EVERY_QUEUE
