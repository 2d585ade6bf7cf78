"""Tasks bring workers, and their end sends them away."""

from collections.abc import Iterator

import pytest

from tests.support.kube import Kube
from tests.support.task_queues import demo_queue, emails
from tests.support.tasks_api import FINISHED, TasksApi
from tests.support.waiting import until

QUEUE = "burst"
MOST = 4
TASKS = 200
COLUMNS = ["NAME", "QUEUED", "RUNNING", "OLDEST", "REPLICAS", "DESIRED", "READY", "AGE"]


@pytest.fixture
def burst(api: TasksApi, kube: Kube) -> Iterator[TasksApi]:
    """A TaskQueue from 0 to 4, settled at 0."""
    scaling = {
        "minReplicas": 0,
        "maxReplicas": MOST,
        "idleSeconds": 3,
        "scaleDown": {"stabilizationWindowSeconds": 3},
    }
    kube.apply(demo_queue(QUEUE, scaling=scaling, task_seconds=1.0, failure_rate=0.2))
    kube.run("wait", "taskqueue", QUEUE, "--for=condition=Ready", "--timeout=120s")
    until(lambda: replicas(kube) == 0, seconds=120, what="no replicas before the first task")
    yield api
    kube.delete("taskqueue", QUEUE)


def test_tasks_bring_workers_from_zero_and_their_end_sends_them_away(
    burst: TasksApi, kube: Kube
) -> None:
    tasks = burst.enqueue(emails(QUEUE, TASKS))
    until(lambda: replicas(kube) > 0, seconds=60, what="replicas rise from 0")
    seen = until(lambda: (n := replicas(kube)) == MOST and n, seconds=120, what="the most replicas")
    assert seen == MOST
    until(lambda: ready(kube) > 0, seconds=120, what="a worker is ready")
    columns = shown(kube)
    assert int(columns["DESIRED"]) == MOST
    assert int(columns["READY"]) > 0

    open_tasks = set(tasks)
    until(lambda: not unfinished(burst, open_tasks), seconds=300, what="all tasks finish")
    for task_id in tasks:
        events = burst.events(task_id)
        assert events["task_succeeded"] + events["task_failed"] == 1, (task_id, events)
    until(lambda: replicas(kube) == 0, seconds=120, what="replicas return to 0")
    until(lambda: shown(kube).get("REPLICAS") == "0", seconds=60, what="kubectl shows it")
    columns = shown(kube)
    assert (columns["QUEUED"], columns["RUNNING"], columns["DESIRED"]) == ("0", "0", "0")


def replicas(kube: Kube) -> int:
    """Return how many pods the operator asks the queue's Deployment for."""
    return sum(
        each["spec"]["replicas"]
        for each in kube.get("deployments", "-l", f"tidemill.dev/taskqueue={QUEUE}")
    )


def ready(kube: Kube) -> int:
    return int(kube.get("taskqueue", QUEUE).get("status", {}).get("readyReplicas", 0))


def shown(kube: Kube) -> dict[str, str]:
    """Return what `kubectl get tq` prints for the queue, by column."""
    header, *rows = [line.split() for line in kube.run("get", "tq", QUEUE).splitlines()]
    # An absent value is printed as nothing: only a whole row can be read by position.
    assert header == COLUMNS
    assert len(rows) == 1
    return dict(zip(header, rows[0], strict=True)) if len(rows[0]) == len(header) else {}


def unfinished(api: TasksApi, open_tasks: set[str]) -> set[str]:
    """Take the finished ones out of `open_tasks`, and return what is left."""
    for task_id in list(open_tasks):
        if api.task(task_id)["status"] in FINISHED:
            open_tasks.discard(task_id)
        else:
            break
    return open_tasks
