"""An operator is killed in the middle of scaling: the next one goes on, and no busy worker goes."""

from collections.abc import Callable
from typing import Any, LiteralString

import psycopg
import pytest

from tests.support.control_plane import ControlPlane, Operator, task_queue
from tests.support.kubelet import Kubelet
from tests.support.scaling import QUICK
from tests.support.waiting import until
from tests.support.worked import APP, enqueue, outcomes, probed, waiting

Start = Callable[..., Operator]

LEASE = {"TIDEMILL_OPERATOR_LEASE": "killed"}
MARKED = "SELECT count(*) FROM tidemill.workers WHERE draining AND left_at IS NULL"
RUNNING = "SELECT count(*) FROM tidemill.leases"
ENDLESS = 900.0
"""Seconds of a task that is in hand until the test ends."""


def count(url: str, statement: LiteralString) -> int:
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(statement).fetchone()
        assert found is not None
        return int(found[0])


def scaled(plane: ControlPlane, url: str, **scaling: Any) -> Kubelet:
    """Make a queue with one-task workers."""
    plane.apply(probed("killed"))
    spec = {
        "scaleTargetRef": {"name": "killed"},
        "scaling": {**QUICK, "maxReplicas": 4, "tasksPerReplica": 1, **scaling},
    }
    plane.apply(task_queue("killed", spec))
    arguments = ["--queue", "killed", "--concurrency", "1"]
    return Kubelet(plane.kubeconfig, "app=killed", url, APP, arguments=arguments)


def kill(plane: ControlPlane, operator: Operator) -> None:
    """Kill it with -9, and let the next one begin at once: its Lease need not run out."""
    operator.kill()
    plane.run("delete", "lease", "killed")


def test_killed_while_it_scales_up_the_next_one_goes_on_and_stops_nobody_busy(
    clean: ControlPlane, start_operator: Start, database_url: str
) -> None:
    first = start_operator(**LEASE)
    kubelet = scaled(clean, database_url)
    enqueue(database_url, "killed", [0.5, 3.0])
    until(lambda: clean.replicas("killed") == 2, seconds=60, what="it has begun")
    kill(clean, first)  # its pods are there, their workers are not
    enqueue(database_url, "killed", [0.1, 2.0, 4.0, 1.0])
    second = start_operator(**LEASE)
    until(lambda: clean.replicas("killed") == 4, seconds=60, what="the next one goes on")
    with kubelet:
        until(lambda: waiting(database_url) == 0, seconds=120, what="all tasks are done")
        until(lambda: clean.replicas("killed") == 0, seconds=90, what="back to zero")
        until(lambda: kubelet.check() and not kubelet.ready, seconds=60, what="pods are gone")
    assert kubelet.gone.busy == 0, kubelet.gone.held
    assert outcomes(database_url)["succeeded"] == 6
    assert "Traceback" not in second.said()


@pytest.mark.parametrize("needed", [False, True], ids=["go", "needed again"])
def test_killed_while_it_scales_down_its_marks_are_taken_over(
    clean: ControlPlane, start_operator: Start, database_url: str, *, needed: bool
) -> None:
    first = start_operator(**LEASE)
    with scaled(clean, database_url, minReplicas=3) as kubelet:
        until(lambda: kubelet.ready == 3, seconds=120, what="three workers")
        enqueue(database_url, "killed", [ENDLESS])
        until(lambda: count(database_url, RUNNING) == 1, seconds=60, what="one is busy")
        kubelet.blind = True  # so the idle ones cannot show themselves unready, and are waited for
        clean.patch("taskqueue", "killed", {"spec": {"scaling": {"minReplicas": 0}}})
        until(lambda: count(database_url, MARKED) == 2, seconds=60, what="two are to go")
        kill(clean, first)
        assert clean.replicas("killed") == 3
        kubelet.blind = False
        if needed:
            enqueue(database_url, "killed", [ENDLESS, ENDLESS])
        second = start_operator(**LEASE)
        if needed:
            until(lambda: count(database_url, RUNNING) == 3, seconds=90, what="they work again")
        else:
            until(lambda: kubelet.check() == 2, seconds=90, what="they go")
        assert clean.replicas("killed") == (3 if needed else 1)
        assert count(database_url, RUNNING) == (3 if needed else 1)
        assert kubelet.check() == (0 if needed else 2)
        assert kubelet.gone.busy == 0
    assert "Traceback" not in second.said()
