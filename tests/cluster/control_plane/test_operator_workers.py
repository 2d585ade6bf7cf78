"""The operator makes and scales workers: against a real API server, with a real database."""

import pytest

from tests.support.control_plane import ControlPlane, Operator, plain_deployment, task_queue
from tests.support.scaling import QUICK, SECRET, decisions, empty, enqueue, queue_row
from tests.support.waiting import until
from tidemill_cli.__main__ import run


def test_a_deployment_is_made_from_spec_worker_and_scaled_from_zero_and_back(
    clean: ControlPlane, operator: Operator, database_url: str
) -> None:
    clean.apply(SECRET)
    clean.apply(task_queue("emails", {"worker": {}, "scaling": {"maxReplicas": 4, **QUICK}}))
    until(lambda: clean.replicas("emails-worker") == 0, seconds=60, what="made at zero")

    enqueue(database_url, "emails", 12)
    until(lambda: clean.replicas("emails-worker") == 3, seconds=60, what="12 tasks at 5 a replica")
    enqueue(database_url, "emails", 100)
    until(lambda: clean.replicas("emails-worker") == 4, seconds=60, what="at most maxReplicas")
    empty(database_url, "emails")
    until(lambda: clean.replicas("emails-worker") == 0, seconds=60, what="back to zero")
    assert "Traceback" not in operator.said()


def test_the_target_of_scale_target_ref_is_scaled_and_left_with_a_worker(
    clean: ControlPlane, operator: Operator, database_url: str
) -> None:
    clean.apply(plain_deployment("mine", replicas=0))
    spec = {"scaleTargetRef": {"name": "mine"}, "scaling": QUICK}
    clean.apply(task_queue("reports", spec))
    until(lambda: clean.status("reports").get("desiredReplicas") == 0, seconds=60, what="seen")

    enqueue(database_url, "reports", 12)
    until(lambda: clean.replicas("mine") == 3, seconds=60, what="12 tasks at 5 a replica")
    empty(database_url, "reports")
    until(lambda: clean.replicas("mine") == 0, seconds=60, what="back to zero")
    clean.run("delete", "taskqueue", "reports")
    until(lambda: clean.replicas("mine") == 1, seconds=60, what="left with one")
    assert "Traceback" not in operator.said()


def test_the_status_tells_figures_decision_and_conditions(
    clean: ControlPlane, operator: Operator, database_url: str
) -> None:
    clean.apply(SECRET)
    clean.apply(task_queue("told", {"worker": {}, "scaling": QUICK}))
    enqueue(database_url, "told", 11)

    until(lambda: clean.status("told").get("replicas") == 3, seconds=60, what="pods are counted")
    status = clean.status("told")
    assert status["queued"] == 11
    assert status["running"] == 0
    assert status["desiredReplicas"] == 3
    assert status["readyReplicas"] == 0
    assert status["observedGeneration"] == 1
    assert (
        status["selector"] == "app.kubernetes.io/name=tidemill-worker,tidemill.dev/taskqueue=told"
    )
    assert (
        "11 waiting and 0 running tasks at 5 a replica call for 3"
        in status["lastDecision"]["reason"]
    )
    assert status["lastDecision"]["inputs"]["queued"] == 11
    conditions = {each["type"]: (each["status"], each["reason"]) for each in status["conditions"]}
    assert conditions == {
        "Ready": ("False", "WorkersStarting"),
        "ScalingActive": ("True", "Active"),
        "DatabaseReachable": ("True", "Reachable"),
        "ScalerConflict": ("False", "NoConflict"),
    }
    cells = clean.run("get", "tq", "told", "--no-headers").split()
    assert cells[:2] == ["told", "11"]
    assert cells[4:6] == ["3", "3"]
    assert "call for 3" in clean.run("get", "tq", "told", "-o", "wide", "--no-headers")
    scaled = [each["desired"] for each in decisions(database_url, "default/told")]
    assert scaled[-1] == 3
    until(lambda: "Scaled" in events_of(clean, "told"), seconds=60, what="an event tells of it")
    assert (
        'tidemill_operator_desired_replicas{name="told",namespace="default"} 3.0'
        in operator.probe("/metrics")
    )


def test_explain_tells_the_last_decision_of_a_task_queue_in_words(
    clean: ControlPlane,
    operator: Operator,  # noqa: ARG001  decides
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(clean.kubeconfig))
    assert run(["explain", "tq/asked"]) == 1
    assert "TaskQueue asked is not in namespace default" in capsys.readouterr().err
    clean.apply(SECRET)
    clean.apply(task_queue("asked", {"worker": {}, "scaling": {"maxReplicas": 2, **QUICK}}))
    enqueue(database_url, "asked", 11)
    until(lambda: clean.replicas("asked-worker") == 2, seconds=60, what="at most maxReplicas")
    until(lambda: clean.status("asked").get("desiredReplicas") == 2, seconds=60, what="told")
    assert run(["explain", "tq/asked", "-n", "default"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("queue asked (TaskQueue default/asked): ")
    assert "11 waiting and 0 running tasks at 5 a replica call for 3" in out
    assert "maxReplicas: at most 2 are allowed, not 3" in out
    assert "not Ready   WorkersStarting: 0 of 2 workers are ready" in out


def events_of(plane: ControlPlane, name: str) -> set[str]:
    """Return the reasons of the events that tell of an object."""
    found = plane.get("events", "--field-selector", f"involvedObject.name={name}")
    return {each["reason"] for each in found}


def test_an_untouched_queue_is_not_written_to_again_and_again(
    clean: ControlPlane, operator: Operator
) -> None:
    clean.apply(SECRET)
    clean.apply(task_queue("still", {"worker": {}}))
    until(
        lambda: clean.condition("still", "Ready").get("status") == "True", seconds=60, what="ready"
    )
    turns = turns_of(operator)
    until(lambda: turns_of(operator) > turns + 5, seconds=60, what="a few turns")
    before = clean.get("taskqueue", "still")["metadata"]["resourceVersion"]
    deployment = clean.get("deployment", "still-worker")["metadata"]["resourceVersion"]
    turns = turns_of(operator)
    until(lambda: turns_of(operator) > turns + 15, seconds=60, what="many turns")
    assert clean.get("taskqueue", "still")["metadata"]["resourceVersion"] == before
    assert clean.get("deployment", "still-worker")["metadata"]["resourceVersion"] == deployment


def turns_of(operator: Operator) -> float:
    lines = operator.probe("/metrics").splitlines()
    return next(
        float(x.split()[1]) for x in lines if x.startswith("tidemill_operator_turns_total ")
    )


def test_queue_settings_are_written_and_let_go_with_the_task_queue(
    clean: ControlPlane,
    operator: Operator,  # noqa: ARG001  it runs
    database_url: str,
) -> None:
    clean.apply(SECRET)
    spec = {
        "queue": "mails",
        "worker": {},
        "paused": True,
        "leaseSeconds": 77,
        "retry": {"maxRetries": 9},
        "maxRunning": 2,
    }
    clean.apply(task_queue("settings", spec))
    until(lambda: queue_row(database_url, "mails").get("owner_paused"), seconds=60, what="owned")
    row = queue_row(database_url, "mails")
    assert (row["owner_name"], row["owner_paused"], row["paused"]) == (
        "default/settings",
        True,
        False,
    )
    assert (row["lease_seconds"], row["max_retries"], row["timeout_seconds"]) == (77, 9, None)
    assert row["limited"]  # so claims look at maxRunning
    clean.run("delete", "taskqueue", "settings")
    until(lambda: queue_row(database_url, "mails")["owner_uid"] is None, seconds=60, what="let go")
    assert queue_row(database_url, "mails")["lease_seconds"] == 77


def test_drift_of_the_owned_deployment_is_repaired_but_its_replicas_are_not_reset(
    clean: ControlPlane,
    operator: Operator,  # noqa: ARG001  it runs
    database_url: str,
) -> None:
    clean.apply(SECRET)
    clean.apply(task_queue("drift", {"worker": {}, "scaling": QUICK}))
    enqueue(database_url, "drift", 10)
    until(lambda: clean.replicas("drift-worker") == 2, seconds=60, what="two workers")
    other = {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 1}}}}
    clean.patch("deployment", "drift-worker", other, "--field-manager=somebody")

    def grace() -> int:
        pod = clean.get("deployment", "drift-worker")["spec"]["template"]["spec"]
        return int(pod["terminationGracePeriodSeconds"])

    until(lambda: grace() == 40, seconds=60, what="repaired")
    clean.patch("taskqueue", "drift", {"spec": {"worker": {"drainSeconds": 5}}})
    until(lambda: grace() == 15, seconds=60, what="the change of the spec arrives")
    assert clean.replicas("drift-worker") == 2


def test_external_mode_obeys_spec_replicas_and_operator_mode_says_that_it_does_not(
    clean: ControlPlane,
    operator: Operator,  # noqa: ARG001  it runs
    database_url: str,
) -> None:
    clean.apply(SECRET)
    clean.apply(task_queue("outside", {"worker": {}, "scaling": {"mode": "External"}}))
    until(lambda: clean.replicas("outside-worker") == 1, seconds=60, what="one by default")
    enqueue(database_url, "outside", 50)
    clean.run("scale", "tq/outside", "--replicas=3")
    until(lambda: clean.replicas("outside-worker") == 3, seconds=60, what="obeyed")
    assert clean.condition("outside", "ScalingActive")["reason"] == "External"

    clean.patch("taskqueue", "outside", {"spec": {"scaling": {"mode": "Operator"}}})
    until(lambda: clean.replicas("outside-worker") == 10, seconds=60, what="sized by the queue")
    until(
        lambda: clean.condition("outside", "ScalingActive")["reason"] == "ReplicasIgnored",
        seconds=60,
        what="says that spec.replicas is ignored",
    )


def test_off_leaves_replicas_alone(
    clean: ControlPlane,
    operator: Operator,
    database_url: str,
) -> None:
    clean.apply(SECRET)
    clean.apply(task_queue("off", {"worker": {}, "scaling": {"mode": "Off"}}))
    until(lambda: clean.replicas("off-worker") == 1, seconds=60, what="Kubernetes' default")
    clean.run("scale", "deployment/off-worker", "--replicas=4")
    enqueue(database_url, "off", 50)
    turns = turns_of(operator)
    until(lambda: turns_of(operator) > turns + 5, seconds=60, what="a few turns")
    assert clean.replicas("off-worker") == 4


def test_every_queue_leaves_out_the_named_ones(
    clean: ControlPlane,
    operator: Operator,  # noqa: ARG001  it runs
    database_url: str,
) -> None:
    clean.apply(plain_deployment("all", replicas=0))
    clean.apply(plain_deployment("named", replicas=0))
    every = {"queue": "*", "scaleTargetRef": {"name": "all"}, "scaling": QUICK}
    clean.apply(task_queue("every", every))
    clean.apply(task_queue("named", {"scaleTargetRef": {"name": "named"}, "scaling": QUICK}))
    enqueue(database_url, "named", 20)
    enqueue(database_url, "one", 5)
    enqueue(database_url, "two", 10)
    until(lambda: clean.replicas("named") == 4, seconds=60, what="the named queue's own")
    until(lambda: clean.replicas("all") == 3, seconds=60, what="the others together")
