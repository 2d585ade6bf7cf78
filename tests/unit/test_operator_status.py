"""The status of a TaskQueue: what it says, and when it is worth writing."""

from dataclasses import replace
from typing import Any

from tidemill_operator.decision import Observation, decide
from tidemill_operator.memory import Memory
from tidemill_operator.need import Reading
from tidemill_operator.policy import Mode, Policy
from tidemill_operator.problems import Problem
from tidemill_operator.status import (
    FIGURES_SECONDS,
    Outcome,
    is_due,
    selector_text,
    status_of,
)

NOW = 1_800_000_000.0
SELECTOR = {"matchLabels": {"b": "2", "a": "1"}}


def task_queue(status: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "metadata": {"name": "q", "namespace": "n", "generation": 3},
        "spec": spec,
    }
    if status is not None:
        body["status"] = status
    return body


def outcome(queued: int = 12, *, wanted: int = 3, ready: int = 3, **changes: Any) -> Outcome:
    reading = Reading(queued=queued, running=0, oldest_seconds=4.7)
    observation = Observation(now=NOW, replicas=wanted, ready=ready, reading=reading)
    deployment = {
        "spec": {"replicas": wanted, "selector": SELECTOR},
        "status": {"replicas": wanted, "readyReplicas": ready},
    }
    plain = Outcome(
        mode=Mode.OPERATOR,
        reading=reading,
        deployment=deployment,
        decision=decide(observation, Policy(), Memory()),
    )
    return replace(plain, **changes)


def conditions(status: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {each["type"]: (each["status"], each["reason"]) for each in status["conditions"]}


def test_it_tells_figures_pods_decision_and_memory() -> None:
    status = status_of(task_queue(), outcome(), NOW)
    assert (status["queued"], status["running"], status["oldestSeconds"]) == (12, 0, 4)
    assert (status["replicas"], status["readyReplicas"], status["desiredReplicas"]) == (3, 3, 3)
    assert status["selector"] == "a=1,b=2"
    assert status["observedGeneration"] == 3
    assert status["lastDecision"]["replicas"] == 3
    assert status["lastDecision"]["time"] == "2027-01-15T08:00:00Z"
    assert status["scaling"]["asked"]
    assert conditions(status) == {
        "Ready": ("True", "WorkersReady"),
        "ScalingActive": ("True", "Active"),
        "DatabaseReachable": ("True", "Reachable"),
        "ScalerConflict": ("False", "NoConflict"),
    }


def test_what_is_not_known_now_keeps_its_last_value() -> None:
    known = status_of(task_queue(), outcome(), NOW)
    away = Problem("DatabaseUnavailable", "it is gone")
    blind = outcome(reading=None, database=away)
    status = status_of(task_queue(known), blind, NOW + 9)
    assert status["queued"] == 12
    assert conditions(status)["DatabaseReachable"] == ("False", "DatabaseUnavailable")
    assert conditions(status)["ScalingActive"] == ("False", "DatabaseUnavailable")


def test_a_second_scaler_is_told_as_a_condition() -> None:
    status = status_of(task_queue(), outcome(conflict="keda set the replicas"), NOW)
    assert conditions(status)["ScalerConflict"] == ("True", "ReplicasChanged")
    assert status["conditions"][-1]["message"] == "keda set the replicas"


def test_a_problem_is_the_reason_of_ready_and_of_the_decision() -> None:
    problem = Problem("TargetNotFound", "Deployment d is missing")
    broken = Outcome(mode=Mode.OPERATOR, reading=None, problem=problem)
    status = status_of(task_queue(), broken, NOW)
    assert conditions(status)["Ready"] == ("False", "TargetNotFound")
    assert status["lastDecision"]["reason"] == "TargetNotFound: Deployment d is missing"
    assert "replicas" not in status


def test_a_condition_remembers_since_when_it_holds() -> None:
    first = status_of(task_queue(), outcome(), NOW)
    later = status_of(task_queue(first), outcome(ready=1), NOW + 60)
    since = {each["type"]: each["lastTransitionTime"] for each in later["conditions"]}
    assert since["Ready"] == "2027-01-15T08:01:00Z"
    assert since["DatabaseReachable"] == "2027-01-15T08:00:00Z"
    assert "1 of 3 workers are ready" in [each["message"] for each in later["conditions"]]


def test_an_unchanged_decision_keeps_its_time() -> None:
    first = status_of(task_queue(), outcome(), NOW)
    later = status_of(task_queue(first), outcome(), NOW + 60)
    assert later["lastDecision"] == first["lastDecision"]


def test_replicas_that_are_ignored_are_named() -> None:
    status = status_of(task_queue(replicas=5), outcome(), NOW)
    assert conditions(status)["ScalingActive"] == ("True", "ReplicasIgnored")
    external = status_of(task_queue(replicas=5), outcome(mode=Mode.EXTERNAL), NOW)
    assert conditions(external)["ScalingActive"] == ("True", "External")
    off = status_of(task_queue(), outcome(mode=Mode.OFF), NOW)
    assert conditions(off)["ScalingActive"] == ("False", "Off")


def external_says(**scaling: Any) -> tuple[str, str, str]:
    problem = scaling.pop("problem", None)
    database = scaling.pop("database", None)
    seen = outcome(mode=Mode.EXTERNAL, problem=problem, database=database)
    status = status_of(task_queue(scaling={"mode": "External", **scaling}), seen, NOW)
    (found,) = [each for each in status["conditions"] if each["type"] == "ScalingActive"]
    return found["status"], found["reason"], found["message"]


def test_external_says_what_has_no_effect_in_it() -> None:
    assert external_says() == ("True", "External", "spec.replicas is obeyed")
    _, _, one = external_says(maxReplicas=3, minReplicas=0)
    assert one.endswith("; maxReplicas has no effect on it in the mode External")
    _, _, both = external_says(minReplicas=1, scaleDown={"maxStep": 1})
    assert both.endswith("; minReplicas, scaleDown have no effect on it in the mode External")


def test_external_is_not_active_without_a_target_and_says_when_it_is_blind() -> None:
    problem = Problem("TargetNotFound", "Deployment d is missing")
    assert external_says(problem=problem)[:2] == ("False", "TargetNotFound")
    away = Problem("DatabaseUnavailable", "it is gone")
    status, _, message = external_says(database=away)
    assert status == "True"
    assert message.endswith("the queue cannot be read, so a scale-down may take busy workers")


def test_what_others_act_on_is_written_at_once_and_figures_now_and_then() -> None:
    written = status_of(task_queue(), outcome(), NOW)
    again = status_of(task_queue(written), outcome(), NOW + 1)
    assert not is_due(written, again, float("inf"))
    figures = status_of(task_queue(written), outcome(queued=13), NOW + 1)
    assert not is_due(written, figures, FIGURES_SECONDS - 1)
    assert is_due(written, figures, FIGURES_SECONDS)
    pods = status_of(task_queue(written), outcome(ready=2), NOW + 1)
    assert is_due(written, pods, 0)
    assert is_due({}, written, 0)


def test_the_memory_alone_is_no_reason_to_write() -> None:
    written = status_of(task_queue(), outcome(), NOW)
    assert not is_due(written, {**written, "scaling": {"idleSince": NOW}}, float("inf"))


def test_a_selector_with_expressions_is_one_string() -> None:
    selector = {
        "matchLabels": {"app": "x"},
        "matchExpressions": [
            {"key": "tier", "operator": "In", "values": ["a", "b"]},
            {"key": "old", "operator": "DoesNotExist"},
            {"key": "new", "operator": "Exists"},
            {"key": "zone", "operator": "NotIn", "values": ["z"]},
        ],
    }
    assert selector_text(selector) == "app=x,tier in (a,b),!old,new,zone notin (z)"
