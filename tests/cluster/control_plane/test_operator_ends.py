"""An operator that is killed in the middle, replaced, or taken away, in whatever order."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.support.control_plane import (
    ControlPlane,
    Operator,
    define,
    plain_deployment,
    task_queue,
)
from tests.support.scaling import QUICK, SECRET, empty, enqueue, queue_row
from tests.support.waiting import until

Start = Callable[..., Operator]

LEASE_NAME = "ends"
"""Deleted after its holder was killed, so that the next one need not wait until it runs out."""

LEASE = {"TIDEMILL_OPERATOR_LEASE": LEASE_NAME}


def scaled(plane: ControlPlane, name: str, **spec: Any) -> None:
    """Make a Deployment and a TaskQueue that scales it."""
    plane.apply(plain_deployment(name, replicas=0))
    plane.apply(task_queue(name, {"scaleTargetRef": {"name": name}, "scaling": QUICK, **spec}))


@pytest.fixture
def defined(clean: ControlPlane) -> Iterator[ControlPlane]:
    """The API server, which has the CRD again after the test."""
    yield clean
    define(clean)


@pytest.fixture
def elsewhere(clean: ControlPlane) -> ControlPlane:
    """A namespace of its own."""
    clean.run("delete", "namespace", "leaving", "--ignore-not-found", "--timeout=120s")
    clean.run("create", "namespace", "leaving")
    return replace(clean, namespace="leaving")


def test_an_operator_goes_on_from_the_status_of_another_version(
    clean: ControlPlane, start_operator: Start, database_url: str
) -> None:
    first = start_operator(**LEASE)
    scaled(clean, "older")
    enqueue(database_url, "older", 5)
    until(lambda: clean.replicas("older") == 1, seconds=60, what="scaled")
    first.kill()
    clean.run("delete", "lease", LEASE_NAME)
    memory = {"raisedAt": None, "asked": [{"at": 1.5}, {}, {"low": 9}], "idleSince": -1}
    decision = {"reason": "of an older version", "inputs": {"gone": 1}, "clamps": None}
    status = {"scaling": memory, "lastDecision": decision, "conditions": None, "replicas": None}
    clean.patch("taskqueue", "older", {"status": status}, "--subresource=status")
    enqueue(database_url, "older", 10)
    second = start_operator(**LEASE)
    until(lambda: clean.replicas("older") == 3, seconds=90, what="goes on")
    until(lambda: clean.condition("older", "Ready"), seconds=60, what="its own conditions")
    assert "Traceback" not in second.said()


def test_a_task_queue_deleted_while_it_scales_leaves_its_target_running_and_its_tasks(
    clean: ControlPlane, operator: Operator, database_url: str
) -> None:
    scaled(clean, "going", deletionPolicy="Retain", paused=False)
    enqueue(database_url, "going", 40)
    until(lambda: clean.replicas("going") == 8, seconds=60, what="scaled up")
    until(lambda: queue_row(database_url, "going")["owner_uid"], seconds=60, what="owned")
    empty(database_url, "going")
    enqueue(database_url, "going", 1)
    clean.run("delete", "taskqueue", "going", "--timeout=60s")
    until(lambda: clean.replicas("going") == 1, seconds=60, what="left at one")
    until(lambda: not queue_row(database_url, "going")["owner_uid"], seconds=60, what="let go")
    clean.apply(task_queue("going", {"scaleTargetRef": {"name": "going"}, "scaling": QUICK}))
    until(lambda: clean.status("going").get("queued") == 1, seconds=60, what="the task is kept")
    assert "Traceback" not in operator.said()


def test_the_crd_goes_first_and_nothing_is_stuck_then_a_new_one_is_served(
    defined: ControlPlane, start_operator: Start, database_url: str
) -> None:
    first = start_operator(**LEASE)
    defined.apply(SECRET)
    defined.apply(task_queue("crdless", {"worker": {}}))
    until(lambda: defined.replicas("crdless-worker") == 0, seconds=60, what="made")
    defined.run("delete", "crd", "taskqueues.tidemill.dev", "--timeout=120s")
    first.kill()  # it may have ended by itself: its watch has gone
    defined.run("delete", "lease", LEASE_NAME)
    second = start_operator(**LEASE)
    until(lambda: "cannot be listed" in second.said(), seconds=60, what="it waits for the CRD")
    define(defined)
    scaled(defined, "anew")
    enqueue(database_url, "anew", 5)
    until(lambda: defined.replicas("anew") == 1, seconds=60, what="served")
    assert second.stop() == 0


def test_a_namespace_goes_with_all_in_it_while_the_operator_is_away(
    clean: ControlPlane, elsewhere: ControlPlane, start_operator: Start, database_url: str
) -> None:
    everywhere = {"TIDEMILL_OPERATOR_NAMESPACES": "", **LEASE}
    operator = start_operator(**everywhere)
    elsewhere.apply(SECRET)
    elsewhere.apply(task_queue("away", {"worker": {}, "paused": True}))
    until(lambda: elsewhere.replicas("away-worker") == 0, seconds=60, what="made")
    until(lambda: queue_row(database_url, "away").get("owner_paused"), seconds=60, what="owned")
    operator.kill()
    clean.run("delete", "lease", LEASE_NAME)
    elsewhere.run("delete", "namespace", "leaving", "--timeout=120s")
    start_operator(**everywhere)
    until(lambda: not queue_row(database_url, "away")["owner_paused"], seconds=60, what="let go")
