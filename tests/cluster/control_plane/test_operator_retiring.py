"""Workers go and none is busy: real worker processes, and Kubernetes' own choice of pods."""

import os
import random

import psycopg
import pytest

from tests.support.control_plane import ControlPlane, Operator, plain_deployment, task_queue
from tests.support.kubelet import Kubelet
from tests.support.scaling import QUICK
from tests.support.waiting import until
from tests.support.worked import APP, enqueue, outcomes, probed, waiting

SCALE_DOWNS = int(os.environ.get("TIDEMILL_TEST_SCALE_DOWNS", "6"))
"""Pods that must have gone before the test is content; more of them take a while."""


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
    # A pod may go while its worker is still to start: what that claims by then is given back, by
    # itself or by the operator.
    del found["released"], found["lease_expired"]
    assert found == {"succeeded": done}
    assert "Traceback" not in operator.said()


def holder(url: str) -> str:
    """Return the uid of the pod that runs a task; '' while none does."""
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(
            "SELECT w.pod_uid FROM tidemill.leases l JOIN tidemill.workers w ON w.id = l.worker_id"
        ).fetchone()
        return str(found[0]) if found else ""


def test_tasks_of_a_pod_that_dies_run_again_long_before_their_leases_end(
    clean: ControlPlane,
    operator: Operator,
    database_url: str,
) -> None:
    clean.apply(probed("dying"))
    scaling = {**QUICK, "minReplicas": 2, "maxReplicas": 2}
    spec = {"scaleTargetRef": {"name": "dying"}, "scaling": scaling, "leaseSeconds": 3600}
    clean.apply(task_queue("dying", spec))
    arguments = ["--queue", "dying", "--concurrency", "1"]
    with Kubelet(clean.kubeconfig, "app=dying", database_url, APP, arguments=arguments) as kubelet:
        until(lambda: kubelet.ready == 2, seconds=120, what="two workers")
        enqueue(database_url, "dying", [300.0])
        first = until(lambda: holder(database_url), seconds=60, what="a worker runs it")
        kubelet.kill(first)
        name = next(
            each["metadata"]["name"]
            for each in clean.get("pods", "-l", "app=dying")
            if each["metadata"]["uid"] == first
        )
        clean.run("delete", "pod", name, "--force", "--grace-period=0")
        until(lambda: holder(database_url) not in {"", first}, seconds=120, what="it runs again")
        kubelet.check()
        until(lambda: "1 tasks run again now" in operator.said(), seconds=60, what="it is said")
    assert outcomes(database_url) == {"lease_expired": 1}
