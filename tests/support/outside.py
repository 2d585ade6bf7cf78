"""Workers that somebody else scales: their pods, and what they have in hand."""

import json
from typing import Any

import psycopg

from tests.support.control_plane import ControlPlane, plain_deployment
from tidemill.models import WorkerInfo
from tidemill.store import Store
from tidemill.store.claimer import Claimer

LONG_SECONDS = 600.0


def probed(name: str) -> dict[str, Any]:
    """Return a Deployment whose pods have a Tidemill worker's readiness probe and label."""
    made = plain_deployment(name, replicas=0)
    template = made["spec"]["template"]
    template["metadata"]["labels"]["tidemill.dev/worker"] = "true"
    template["spec"]["containers"][0]["readinessProbe"] = {
        "httpGet": {"path": "/readyz", "port": 8081},
        "periodSeconds": 1,
        "failureThreshold": 1,
    }
    return made


def uids_of(plane: ControlPlane, name: str) -> set[str]:
    """Return the uids of a plain Deployment's pods that are not on their way out."""
    found = plane.get("pods", "-l", f"app={name}")
    return {
        each["metadata"]["uid"] for each in found if "deletionTimestamp" not in each["metadata"]
    }


def show_ready(plane: ControlPlane, name: str) -> None:
    """Show a plain Deployment's pods as running and ready, as a kubelet would."""
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    for each in plane.get("pods", "-l", f"app={name}"):
        plane.patch("pod", each["metadata"]["name"], {"status": status}, "--subresource=status")


def enqueue_long(url: str, queue: str, count: int) -> None:
    """Enqueue tasks of the test app that run for longer than any test."""
    payload = json.dumps({"n": 0, "seconds": LONG_SECONDS})
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(count):
            connection.execute("SELECT tidemill.enqueue('work', %s, queue => %s)", [payload, queue])


def holders(url: str) -> set[str]:
    """Return the uids of the pods whose workers have tasks in hand."""
    with psycopg.connect(url, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT DISTINCT w.pod_uid FROM tidemill.leases l JOIN tidemill.workers w"
            " ON w.id = l.worker_id"
        )
        return {str(uid) for (uid,) in rows.fetchall()}


async def register(store: Store, queue: str, pod_uid: str, tasks: int) -> None:
    """Register a worker of this pod that has so many tasks in hand."""
    info = WorkerInfo(
        name=pod_uid,
        slots=20,
        queues=(queue,),
        version="0",
        hostname="h",
        pid=1,
        pod_uid=pod_uid,
        container="worker",
        instance="1",
    )
    worker = await store.workers.register(info)
    claimer = Claimer(store, worker, queues=[queue], lease_seconds=600)
    claimed = 0
    while claimed < tasks:
        claimed += len(await claimer.claim(tasks - claimed))
