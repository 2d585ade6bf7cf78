"""Queues whose tasks are run by real workers in pods that `tests.support.kubelet` plays."""

import json
from collections import Counter
from typing import Any

import psycopg

from tests.support.control_plane import plain_deployment

APP = "tests.support.worker_app:app"


def probed(name: str) -> dict[str, Any]:
    """Return a Deployment whose pods have a Tidemill worker's readiness probe."""
    made = plain_deployment(name, replicas=0)
    (container,) = made["spec"]["template"]["spec"]["containers"]
    container["readinessProbe"] = {
        "httpGet": {"path": "/readyz", "port": 8081},
        "periodSeconds": 1,
        "failureThreshold": 1,
    }
    labels = made["spec"]["template"]["metadata"]["labels"]
    labels["tidemill.dev/worker"] = "true"
    return made


def enqueue(url: str, queue: str, seconds: list[float]) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for each in seconds:
            connection.execute(
                "SELECT tidemill.enqueue('work', %s, queue => %s)",
                [json.dumps({"n": 0, "seconds": each}), queue],
            )


def outcomes(url: str) -> Counter[str]:
    with psycopg.connect(url, autocommit=True) as connection:
        rows = connection.execute("SELECT outcome, count(*) FROM tidemill.attempts GROUP BY 1")
        return Counter(dict(rows.fetchall()))


def waiting(url: str) -> int:
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(
            "SELECT (SELECT count(*) FROM tidemill.ready) + (SELECT count(*) FROM tidemill.leases)"
        ).fetchone()
        assert found is not None
        return int(found[0])
