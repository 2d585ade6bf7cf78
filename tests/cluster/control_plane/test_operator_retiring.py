"""Workers go and none is busy: real worker processes, and Kubernetes' own choice of pods."""

import json
import os
import random
from collections import Counter
from typing import Any

import psycopg
import pytest

from tests.support.control_plane import ControlPlane, Operator, plain_deployment, task_queue
from tests.support.kubelet import Kubelet
from tests.support.scaling import QUICK
from tests.support.waiting import until

APP = "tests.support.worker_app:app"
SCALE_DOWNS = int(os.environ.get("TIDEMILL_TEST_SCALE_DOWNS", "6"))
"""Pods that must have gone before the test is content; more of them take a while."""


def probed(name: str) -> dict[str, Any]:
    """Return a Deployment whose pods have a Tidemill worker's readiness probe."""
    made = plain_deployment(name, replicas=0)
    (container,) = made["spec"]["template"]["spec"]["containers"]
    container["readinessProbe"] = {
        "httpGet": {"path": "/readyz", "port": 8081},
        "periodSeconds": 1,
        "failureThreshold": 1,
    }
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


@pytest.mark.parametrize(
    ("with_probe", "concurrency"), [(True, 1), (False, 1), (True, 20)], ids=str
)
def test_no_busy_worker_is_stopped_while_load_goes_up_and_down(
    clean: ControlPlane,
    operator: Operator,
    database_url: str,
    *,
    with_probe: bool,
    concurrency: int,
) -> None:
    clean.apply(probed("updown") if with_probe else plain_deployment("updown", replicas=0))
    scaling = {**QUICK, "maxReplicas": 4, "tasksPerReplica": 1}
    clean.apply(task_queue("updown", {"scaleTargetRef": {"name": "updown"}, "scaling": scaling}))
    chance = random.Random(with_probe + concurrency)
    done = 0
    arguments = ["--queue", "updown", "--concurrency", str(concurrency)]
    with Kubelet(clean.kubeconfig, "app=updown", database_url, APP, arguments=arguments) as kubelet:

        def quiet() -> bool:
            gone = kubelet.check()
            assert kubelet.gone.busy == 0, f"busy pods stopped: {kubelet.gone.held}"
            return gone >= wanted and waiting(database_url) <= left

        while kubelet.check() < SCALE_DOWNS:
            lengths = [chance.choice([0.05, 0.3, 1.0, 3.0]) for _ in range(chance.randint(2, 8))]
            enqueue(database_url, "updown", lengths)
            done += len(lengths)
            wanted, left = kubelet.check() + 1, chance.randint(0, 1)
            until(quiet, seconds=120, what="one more pod is gone")
        wanted, left = kubelet.check(), 0
        until(quiet, seconds=120, what="all tasks are done")
    found = outcomes(database_url)
    # A pod may go while its worker is still to start: what that claims by then it gives back.
    del found["released"]
    assert found == {"succeeded": done}
    assert "Traceback" not in operator.said()
