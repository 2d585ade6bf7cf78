"""Where the operator looks, and how often it says what keeps coming and going."""

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tests.support.control_plane import ControlPlane, Operator, plain_deployment, task_queue
from tests.support.scaling import QUICK, enqueue
from tests.support.waiting import until
from tidemill_operator.event_limits import AT_ONCE, SECONDS_EACH

Start = Callable[..., Operator]

PATIENCE = 120.0
FLIPS = AT_ONCE + 5


@pytest.fixture
def namespaces(clean: ControlPlane) -> Iterator[list[ControlPlane]]:
    """Three namespaces of this test's own."""
    names = [f"told-{uuid.uuid4().hex[:8]}" for _ in range(3)]
    for each in names:
        clean.run("create", "namespace", each)
    yield [replace(clean, namespace=each) for each in names]
    clean.run("delete", "namespace", *names, "--wait=false")


def test_of_several_namespaces_those_that_are_named_are_served_and_no_other(
    namespaces: list[ControlPlane], start_operator: Start, database_url: str
) -> None:
    first, second, other = namespaces
    start_operator(TIDEMILL_OPERATOR_NAMESPACES=f"{first.namespace}, {second.namespace}")
    for each in (other, first, second):
        each.apply(plain_deployment("target", replicas=0))
        spec = {"scaleTargetRef": {"name": "target"}, "scaling": QUICK}
        each.apply(task_queue(each.namespace, spec))
        enqueue(database_url, each.namespace, 5)
    for each in (first, second):
        until(lambda at=each: at.replicas("target") == 1, seconds=PATIENCE, what="scaled")  # type: ignore[misc]  # a default binds
    assert other.replicas("target") == 0
    assert other.status(other.namespace) == {}


def test_a_target_that_comes_and_goes_is_no_storm_of_events(
    clean: ControlPlane,
    operator: Operator,  # noqa: ARG001  it runs
) -> None:
    begun = time.monotonic()
    clean.apply(plain_deployment("there", replicas=0))
    clean.apply(task_queue("flaps", {"scaleTargetRef": {"name": "there"}}))
    for _ in range(FLIPS):
        for name, reason in (("gone", "TargetNotFound"), ("there", "WorkersReady")):
            clean.patch("taskqueue", "flaps", {"spec": {"scaleTargetRef": {"name": name}}})
            until(
                lambda reason=reason: clean.condition("flaps", "Ready").get("reason") == reason,  # type: ignore[misc]  # a default binds
                seconds=PATIENCE,
                what=reason,
            )
    events = clean.get("events", "--field-selector", "involvedObject.name=flaps")
    told = [each for each in events if each["reason"] == "TargetNotFound"]
    most = AT_ONCE + 1 + (time.monotonic() - begun) / SECONDS_EACH
    assert AT_ONCE <= len(told) <= most
