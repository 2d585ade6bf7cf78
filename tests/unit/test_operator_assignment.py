"""Which TaskQueue serves which queues."""

from typing import Any

import pytest

from tidemill.models import QueueSnapshot
from tidemill_operator.assignment import Assignment, assign, reading_for


def task_queue(name: str, *, namespace: str = "n", **spec: Any) -> dict[str, Any]:
    if "scaleTargetRef" not in spec:
        spec["worker"] = {}
    return {"metadata": {"name": name, "namespace": namespace, "uid": name}, "spec": spec}


def snapshot(queue: str, **figures: Any) -> QueueSnapshot:
    plain: dict[str, Any] = {
        "queued": 0,
        "due_soon": 0,
        "running": 0,
        "oldest_seconds": 0.0,
        "paused": False,
        "arrival_per_second": 0.0,
        "mean_run_seconds": None,
        "max_running": None,
    }
    return QueueSnapshot(queue=queue, **plain | figures)


def test_a_task_queue_serves_the_queue_it_names_or_is_named_like() -> None:
    assigned = assign([task_queue("a"), task_queue("b", queue="mails")])
    assert (assigned["a"].queue, assigned["b"].queue) == ("a", "mails")
    assert assigned["b"].serves("mails")
    assert not assigned["b"].serves("b")


def test_every_queue_leaves_out_the_named_ones_even_those_of_a_duplicate() -> None:
    assigned = assign([task_queue("all", queue="*"), task_queue("a"), task_queue("a2", queue="a")])
    assert assigned["all"].serves("other")
    assert not assigned["all"].serves("a")


def test_the_oldest_one_is_served_and_the_others_are_told() -> None:
    assigned = assign([task_queue("old", queue="q"), task_queue("new", queue="q", namespace="m")])
    assert assigned["old"].problem is None
    problem = assigned["new"].problem
    assert problem is not None
    assert problem.reason == "DuplicateQueue"
    assert "n/old" in problem.message


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"scaleTargetRef": {"name": "t"}}, {"scaleTargetRef": {"name": "t"}}),
        ({}, {"scaleTargetRef": {"name": "first-worker"}}),
    ],
)
def test_one_target_has_one_scaler(first: dict[str, Any], second: dict[str, Any]) -> None:
    assigned = assign([task_queue("first", **first), task_queue("second", **second)])
    problem = assigned["second"].problem
    assert problem is not None
    assert problem.reason == "DuplicateTarget"


def test_one_that_is_being_deleted_is_not_served_and_blocks_nobody() -> None:
    going = task_queue("going", queue="q")
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assigned = assign([going, task_queue("next", queue="q")])
    assert "going" not in assigned
    assert assigned["next"].problem is None


def test_a_queue_that_is_not_there_yet_is_empty() -> None:
    reading = reading_for(Assignment(queue="a"), [snapshot("b", queued=9)])
    assert (reading.queued, reading.running, reading.paused) == (0, 0, False)


def test_queues_taken_together() -> None:
    reading = reading_for(
        Assignment(queue="*", others=frozenset({"named"})),
        [
            snapshot("named", queued=1000),
            snapshot("a", queued=5, running=1, oldest_seconds=3.0, arrival_per_second=3.0,
                     mean_run_seconds=1.0),
            snapshot("b", queued=7, due_soon=2, running=2, oldest_seconds=8.0,
                     arrival_per_second=1.0, mean_run_seconds=5.0),
            snapshot("paused", queued=100, running=3, paused=True, oldest_seconds=99.0),
            snapshot("limited", queued=100, due_soon=5, running=2, max_running=4),
        ],
    )  # fmt: skip
    assert reading.queued == 5 + 7 + 2
    assert reading.due_soon == 2
    assert reading.running == 1 + 2 + 3 + 2
    assert reading.oldest_seconds == 8.0
    assert reading.arrival_per_second == 4.0
    assert reading.mean_run_seconds == pytest.approx(2.0)
    assert not reading.paused


def test_all_of_them_paused_is_paused() -> None:
    both = [snapshot(name, queued=4, paused=True) for name in ("a", "b")]
    reading = reading_for(Assignment(queue="*"), both)
    assert reading.paused
    assert reading.queued == 0
