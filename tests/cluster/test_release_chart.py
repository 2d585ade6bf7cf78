"""What the chart's hook and its upgrades do on a real cluster."""

from typing import Any

from deploy import release
from deploy.cluster import Cluster
from tests.support.kube import Kube
from tests.support.task_queues import emails
from tests.support.tasks_api import TasksApi
from tests.support.waiting import until


def test_the_hook_registered_the_types_so_that_others_are_refused(api: TasksApi) -> None:
    known = emails("default", 1)[0]
    assert api.call("POST", "/api/tasks", known).status == 201
    unknown = api.call("POST", "/api/tasks", {**known, "type": "no_such_type"})
    assert unknown.status == 400
    assert "no_such_type" in str(unknown.body)
    invalid = api.call("POST", "/api/tasks", {**known, "payload": {"to": "someone"}})
    assert invalid.status == 400
    assert "subject" in str(invalid.body)


def test_the_default_taskqueue_runs_what_no_other_names(api: TasksApi, kube: Kube) -> None:
    (task,) = api.enqueue(emails("a-queue-nobody-made", 1))
    until(
        lambda: worker(kube)["spec"]["replicas"] > 0,
        seconds=120,
        what="the chart's own workers rise from 0",
    )
    until(
        lambda: api.task(task)["status"] in {"succeeded", "failed"},
        seconds=120,
        what="the task finishes",
    )


def test_an_upgrade_keeps_the_secrets_and_follows_the_values(
    api: TasksApi, kube: Kube, target: Cluster, own_image: str
) -> None:
    before = secrets(kube)
    assert set(before) == {
        "tidemill-database",
        "tidemill-database-owner",
        "tidemill-database-operator",
        "tidemill-postgres",
    }
    postgres = kube.get("pod", "tidemill-postgres-0")["metadata"]["uid"]
    release.install(target, own_image, namespace=kube.namespace, values={"worker.concurrency": 7})
    assert secrets(kube) == before
    assert kube.get("pod", "tidemill-postgres-0")["metadata"]["uid"] == postgres
    (container,) = worker(kube)["spec"]["template"]["spec"]["containers"]
    assert {"name": "TIDEMILL_CONCURRENCY", "value": "7"} in container["env"]
    assert api.call("GET", "/readyz").status == 200


def secrets(kube: Kube) -> dict[str, Any]:
    """Return the data of the release's generated Secrets."""
    found = kube.get("secrets", "-l", "app.kubernetes.io/part-of=tidemill")
    return {each["metadata"]["name"]: each["data"] for each in found}


def worker(kube: Kube) -> dict[str, Any]:
    return dict(kube.get("deployment", "tidemill-worker"))
