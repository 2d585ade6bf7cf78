"""What the API server accepts as a TaskQueue, and what it says to the rest."""

from typing import Any

import pytest

from tests.support.control_plane import ControlPlane, task_queue

Spec = dict[str, Any]

ACCEPTED: dict[str, Spec] = {
    "the least": {"worker": {}},
    "a target": {"scaleTargetRef": {"name": "mine"}},
    "every queue": {"queue": "*", "scaleTargetRef": {"name": "mine"}},
    "everything": {
        "queue": "Mails_1.low",
        "paused": False,
        "replicas": 3,
        "worker": {
            "image": "example.com/app:1",
            "imagePullPolicy": "Always",
            "app": "shop.tasks:app",
            "concurrency": 1,
            "drainSeconds": 0,
            "databaseSecretRef": {"name": "db"},
            "env": [
                {"name": "A", "value": "1"},
                {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
            ],
            "resources": {"requests": {"cpu": "100m", "memory": "1Gi"}, "limits": {"cpu": 2}},
            "pod": {
                "labels": {"team": "a"},
                "nodeSelector": {"disk": "fast"},
                "tolerations": [{"key": "gpu", "operator": "Exists"}],
                "securityContext": {"runAsUser": 1000},
            },
        },
        "scaling": {
            "mode": "External",
            "minReplicas": 1,
            "maxReplicas": 1,
            "tasksPerReplica": 1,
            "targetWaitSeconds": 1,
            "scaleUp": {"stabilizationWindowSeconds": 5, "maxStep": 2},
            "scaleDown": {"maxStep": 1},
            "idleSeconds": 0,
            "protectBusy": False,
        },
        "retry": {"policy": "list", "delaysSeconds": [1, 60], "maxRetries": 0},
        "leaseSeconds": 60,
        "timeoutSeconds": 600,
        "rateLimit": {"tasks": 10, "seconds": 1},
        "maxRunning": 3,
        "retention": {"succeededSeconds": 0},
        "deletionPolicy": "Purge",
    },
}

REFUSED: list[tuple[Spec, str]] = [
    ({}, "must be exactly one of worker | scaleTargetRef"),
    (
        {"worker": {}, "scaleTargetRef": {"name": "x"}},
        "must be exactly one of worker | scaleTargetRef",
    ),
    *(
        ({"queue": "*", "worker": {}, name: value}, "must be without paused, retry")
        for name, value in {
            "paused": True,
            "retry": {"maxRetries": 1},
            "leaseSeconds": 30,
            "timeoutSeconds": 30,
            "rateLimit": {"tasks": 1, "seconds": 1},
            "maxRunning": 1,
            "retention": {"failedSeconds": 1},
        }.items()
    ),
    (
        {"queue": "*", "worker": {}, "deletionPolicy": "Purge"},
        "deletionPolicy must be Retain where queue is '*'",
    ),
    ({"queue": "-mails", "worker": {}}, "must be '*' or a queue name"),
    ({"queue": "two words", "worker": {}}, "must be '*' or a queue name"),
    ({"queue": "q" * 64, "worker": {}}, "63"),
    ({"worker": {"app": "tasks"}}, "must be written as package.module:attribute"),
    ({"worker": {"concurrency": 0}}, "greater than or equal to 1"),
    ({"worker": {"env": [{"name": "TIDEMILL_APP", "value": "a:b"}]}}, "names must be none of"),
    (
        {
            "worker": {
                "env": [{"name": "A", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]
            }
        },
        "must be at most one of value | valueFrom",
    ),
    ({"worker": {"env": [{"name": "A"}, {"name": "A"}]}}, "Duplicate value"),
    ({"worker": {}, "scaling": {"minReplicas": 11}}, "minReplicas must be at most maxReplicas"),
    (
        {"worker": {}, "scaling": {"mode": "Auto"}},
        'supported values: "Operator", "External", "Off"',
    ),
    ({"worker": {}, "scaling": {"maxReplicas": 1001}}, "less than or equal to 1000"),
    ({"worker": {}, "scaling": {"idleSeconds": 1.5}}, "must be of type integer"),
    ({"worker": {}, "retry": {"policy": "list"}}, "delaysSeconds must be set where policy is list"),
    (
        {"worker": {}, "retry": {"policy": "fixed", "delaysSeconds": [1]}},
        "delaysSeconds must be set where policy is list",
    ),
    (
        {"worker": {}, "retry": {"delaysSeconds": [1]}},
        "policy must be list where delaysSeconds is set",
    ),
    (
        {"worker": {}, "retry": {"baseSeconds": 9, "maxSeconds": 3}},
        "baseSeconds must be at most maxSeconds",
    ),
    ({"worker": {}, "rateLimit": {"tasks": 1}}, "seconds: Required value"),
]


@pytest.mark.parametrize("spec", ACCEPTED.values(), ids=ACCEPTED)
def test_accepted(plane: ControlPlane, spec: Spec) -> None:
    assert not plane.refusal(spec)


@pytest.mark.parametrize(("spec", "message"), REFUSED, ids=lambda value: str(value)[:60])
def test_refused_with_a_message_that_helps(plane: ControlPlane, spec: Spec, message: str) -> None:
    assert message in plane.refusal(spec)


def test_a_name_that_cannot_label_pods_is_refused(plane: ControlPlane) -> None:
    assert "at most 63 characters" in plane.refusal({"worker": {}}, name="n" * 64)
    assert not plane.refusal({"worker": {}}, name="n" * 63)


def test_a_task_queue_keeps_to_worker_or_target(clean: ControlPlane) -> None:
    clean.apply(task_queue("kept", {"worker": {}}))
    assert "must stay with worker or scaleTargetRef" in clean.refusal(
        {"scaleTargetRef": {"name": "mine"}, "worker": None}, name="kept"
    )


def test_defaults_are_the_documented_ones_and_queue_settings_have_none(clean: ControlPlane) -> None:
    clean.apply(task_queue("plain", {"worker": {}}))
    assert clean.get("taskqueue", "plain")["spec"] == {
        "replicas": 1,
        "deletionPolicy": "Retain",
        "worker": {
            "concurrency": 20,
            "drainSeconds": 30,
            "databaseSecretRef": {"name": "tidemill-database"},
        },
        "scaling": {
            "mode": "Operator",
            "minReplicas": 0,
            "maxReplicas": 10,
            "tasksPerReplica": 5,
            "idleSeconds": 30,
            "protectBusy": True,
            "scaleUp": {"stabilizationWindowSeconds": 0},
            "scaleDown": {"stabilizationWindowSeconds": 60},
        },
    }


def test_short_name_category_and_columns(clean: ControlPlane) -> None:
    clean.apply(task_queue("shown", {"worker": {}}))
    columns = clean.run("get", "tq").splitlines()[0].split()
    assert columns == ["NAME", "QUEUED", "RUNNING", "OLDEST", "REPLICAS", "DESIRED", "READY", "AGE"]
    assert clean.run("get", "tq", "-o", "wide").splitlines()[0].split()[-1] == "REASON"
    assert "taskqueue.tidemill.dev/shown" in clean.run("get", "tidemill", "-o", "name")


def test_kubectl_scale_writes_spec_replicas(clean: ControlPlane) -> None:
    clean.apply(task_queue("scaled", {"worker": {}}))
    clean.run("scale", "tq/scaled", "--replicas=4")
    assert clean.get("taskqueue", "scaled")["spec"]["replicas"] == 4
