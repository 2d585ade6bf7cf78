"""What the operator does when something is missing, in the way, or away."""

from collections.abc import Callable

from tests.support.control_plane import ControlPlane, Operator, plain_deployment, task_queue
from tests.support.scaling import QUICK, SECRET, empty, enqueue, queue_row
from tests.support.waiting import until
from tidemill_cli.local.postgres import EmbeddedPostgres

Start = Callable[..., Operator]


def wait_reason(plane: ControlPlane, name: str, reason: str, kind: str = "Ready") -> str:
    """Wait until a condition has this reason; return its message."""
    until(
        lambda: plane.condition(name, kind).get("reason") == reason,
        seconds=60,
        what=f"{kind} of {name} is {reason}",
    )
    return str(plane.condition(name, kind)["message"])


def test_without_the_databases_secret_nothing_is_made_until_it_is_there(
    clean: ControlPlane,
    operator: Operator,  # noqa: ARG001  it runs
) -> None:
    clean.apply(task_queue("secretless", {"worker": {}}))
    message = wait_reason(clean, "secretless", "DatabaseSecretMissing")
    assert message == "Secret tidemill-database is missing in namespace default"
    assert clean.condition("secretless", "Ready")["status"] == "False"
    assert not clean.exists("deployment", "secretless-worker")
    clean.apply({**SECRET, "stringData": {"other": "x"}})
    until(
        lambda: "has no key 'url'" in clean.condition("secretless", "Ready")["message"],
        seconds=60,
        what="the key is missed",
    )
    clean.apply(SECRET)
    until(lambda: clean.replicas("secretless-worker") == 0, seconds=60, what="made")
    wait_reason(clean, "secretless", "WorkersReady")


def test_a_missing_target_is_named_and_taken_up_when_it_appears(
    clean: ControlPlane,
    operator: Operator,  # noqa: ARG001  it runs
    database_url: str,
) -> None:
    clean.apply(task_queue("early", {"scaleTargetRef": {"name": "late"}}))
    assert "Deployment late is missing" in wait_reason(clean, "early", "TargetNotFound")
    enqueue(database_url, "early", 6)
    clean.apply(plain_deployment("late", replicas=0))
    until(lambda: clean.replicas("late") == 2, seconds=60, what="scaled")


def test_a_target_of_another_kind_is_refused(
    clean: ControlPlane,
    operator: Operator,  # noqa: ARG001  it runs
) -> None:
    target = {"kind": "StatefulSet", "name": "mine"}
    clean.apply(task_queue("odd", {"scaleTargetRef": target}))
    message = wait_reason(clean, "odd", "TargetUnsupported")
    assert "apps/v1 StatefulSet cannot be scaled" in message


def test_the_oldest_of_two_for_one_queue_is_served_and_the_other_takes_over(
    clean: ControlPlane,
    operator: Operator,  # noqa: ARG001  it runs
    database_url: str,
) -> None:
    for name in ("first", "second"):
        clean.apply(plain_deployment(name, replicas=0))
        spec = {"queue": "shared", "scaleTargetRef": {"name": name}, "scaling": QUICK}
        clean.apply(task_queue(name, spec))
        until(lambda name=name: clean.status(name), seconds=60, what=f"{name} is seen")  # type: ignore[misc]  # a default binds
    message = wait_reason(clean, "second", "DuplicateQueue")
    assert message == "queue 'shared' is served by the older TaskQueue default/first"
    enqueue(database_url, "shared", 5)
    until(lambda: clean.replicas("first") == 1, seconds=60, what="the first is scaled")
    assert clean.replicas("second") == 0
    clean.run("delete", "taskqueue", "first")
    until(lambda: clean.replicas("second") == 1, seconds=60, what="the second is scaled")
    until(
        lambda: queue_row(database_url, "shared")["owner_name"] == "default/second",
        seconds=60,
        what="the queue has changed hands",
    )


def test_a_second_scaler_on_the_same_target_is_named(
    clean: ControlPlane,
    operator: Operator,  # noqa: ARG001  it runs
    database_url: str,
) -> None:
    clean.apply(plain_deployment("contested", replicas=0))
    spec = {"scaleTargetRef": {"name": "contested"}, "scaling": QUICK}
    clean.apply(task_queue("contested", spec))
    enqueue(database_url, "contested", 10)
    until(lambda: clean.replicas("contested") == 2, seconds=20, what="two workers")
    wait_reason(clean, "contested", "NoConflict", "ScalerConflict")
    clean.run("scale", "deployment/contested", "--replicas=7")
    message = wait_reason(clean, "contested", "ReplicasChanged", "ScalerConflict")
    assert message.startswith("kubectl set the replicas of Deployment contested from 2 to 7 at ")
    until(lambda: clean.replicas("contested") == 2, seconds=20, what="ours again")
    warned = clean.get("events", "--field-selector", "involvedObject.name=contested")
    assert "ScalerConflict" in {each["reason"] for each in warned}


def test_two_for_one_target_are_told(
    clean: ControlPlane,
    operator: Operator,  # noqa: ARG001  it runs
) -> None:
    clean.apply(plain_deployment("one", replicas=0))
    clean.apply(task_queue("left", {"scaleTargetRef": {"name": "one"}}))
    until(lambda: clean.status("left"), seconds=60, what="seen")
    clean.apply(task_queue("right", {"scaleTargetRef": {"name": "one"}}))
    assert "Deployment one is served by" in wait_reason(clean, "right", "DuplicateTarget")


def test_somebody_elses_deployment_of_our_name_is_left_alone(
    clean: ControlPlane,
    operator: Operator,  # noqa: ARG001  it runs
    database_url: str,
) -> None:
    clean.apply(SECRET)
    clean.apply(plain_deployment("taken-worker", replicas=0))
    enqueue(database_url, "taken", 50)
    clean.apply(task_queue("taken", {"worker": {}}))
    message = wait_reason(clean, "taken", "NameTaken")
    assert message == "Deployment taken-worker exists and does not belong to this TaskQueue"
    assert clean.replicas("taken-worker") == 0


def test_what_the_api_server_refuses_is_told_in_its_words(
    clean: ControlPlane,
    operator: Operator,  # noqa: ARG001  it runs
) -> None:
    clean.apply(SECRET)
    worker = {"pod": {"volumeMounts": [{"name": "nowhere", "mountPath": "/x"}]}}
    clean.apply(task_queue("refused", {"worker": worker}))
    assert "nowhere" in wait_reason(clean, "refused", "RefusedByKubernetes")


def test_the_deployment_goes_with_its_task_queue_and_nothing_is_stuck(
    clean: ControlPlane,
    operator: Operator,
) -> None:
    clean.apply(SECRET)
    clean.apply(task_queue("gone", {"worker": {}}))
    until(lambda: clean.replicas("gone-worker") == 0, seconds=60, what="made")
    assert "finalizers" not in clean.get("taskqueue", "gone")["metadata"]
    assert operator.stop() == 0
    clean.run("delete", "taskqueue", "gone", "--timeout=60s")
    until(lambda: not clean.exists("deployment", "gone-worker"), seconds=60, what="collected")


def test_without_the_database_replicas_are_held_and_it_goes_on_when_it_is_back(
    clean: ControlPlane, start_operator: Start, private_server: EmbeddedPostgres, migrated: str
) -> None:
    operator = start_operator(migrated)
    clean.apply(plain_deployment("held", replicas=0))
    spec = {"scaleTargetRef": {"name": "held"}, "scaling": QUICK}
    clean.apply(task_queue("held", spec))
    enqueue(migrated, "held", 15)
    until(lambda: clean.replicas("held") == 3, seconds=60, what="scaled")

    empty(migrated, "held")
    private_server.crash()
    wait_reason(clean, "held", "DatabaseUnavailable", "DatabaseReachable")
    assert clean.condition("held", "ScalingActive")["status"] == "False"
    assert "3 replicas held" in clean.status("held")["lastDecision"]["reason"]
    clean.run("scale", "deployment/held", "--replicas=7")
    until(
        lambda: "7 replicas held" in clean.status("held")["lastDecision"]["reason"],
        seconds=60,
        what="what others did is held too",
    )
    assert operator.probe("/healthz")

    private_server.start()
    until(lambda: clean.replicas("held") == 0, seconds=60, what="goes on: nothing waits")
    wait_reason(clean, "held", "Reachable", "DatabaseReachable")


def test_a_database_without_the_schema_is_named(
    clean: ControlPlane, start_operator: Start, empty_database_url: str
) -> None:
    start_operator(empty_database_url)
    clean.apply(SECRET)
    clean.apply(task_queue("bare", {"worker": {}, "scaling": {"minReplicas": 2}}))
    message = wait_reason(clean, "bare", "SchemaMismatch", "DatabaseReachable")
    assert "run `tidemill migrate`" in message
    until(lambda: clean.replicas("bare-worker") == 2, seconds=60, what="made with the fewest")


def test_an_operator_killed_and_started_again_goes_on(
    clean: ControlPlane, start_operator: Start, database_url: str
) -> None:
    clean.apply(plain_deployment("again", replicas=0))
    scaling = {"scaleDown": {"stabilizationWindowSeconds": 600}, "idleSeconds": 600}
    spec = {"scaleTargetRef": {"name": "again"}, "scaling": scaling}
    first = start_operator()
    clean.apply(task_queue("again", spec))
    clean.apply(task_queue("leaving", {"scaleTargetRef": {"name": "none"}}))
    enqueue(database_url, "again", 40)
    until(lambda: clean.replicas("again") == 8, seconds=60, what="scaled")
    until(lambda: clean.status("again").get("queued") == 40, seconds=60, what="told")
    until(lambda: queue_row(database_url, "again"), seconds=60, what="owned")
    first.kill()
    empty(database_url, "again")
    enqueue(database_url, "again", 5)
    clean.run("delete", "taskqueue", "leaving")

    start_operator()
    until(lambda: clean.status("again").get("queued") == 5, seconds=60, what="seen by the second")
    # The window that the first one began still holds.
    assert clean.replicas("again") == 8
    assert "8 were called for in the last 600 s" in clean.status("again")["lastDecision"]["reason"]


def test_what_a_task_queue_owned_is_let_go_even_if_it_went_unseen(
    clean: ControlPlane, start_operator: Start, database_url: str
) -> None:
    clean.apply(SECRET)
    first = start_operator()
    clean.apply(task_queue("unseen", {"worker": {}, "paused": True}))
    until(lambda: queue_row(database_url, "unseen").get("owner_paused"), seconds=60, what="owned")
    assert first.stop() == 0
    clean.run("delete", "taskqueue", "unseen")
    start_operator()
    until(lambda: not queue_row(database_url, "unseen")["owner_paused"], seconds=60, what="let go")
