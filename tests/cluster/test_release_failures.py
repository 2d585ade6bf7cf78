"""A killed worker's tasks run again and are recorded once; a drained one's are not charged."""

import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from deploy.cluster import Cluster
from tests.support.kube import Kube, container_id
from tests.support.task_queues import demo_queue, emails, pods_of
from tests.support.tasks_api import TasksApi
from tests.support.waiting import until

TASKS = 6
MakeQueue = Callable[..., None]
# Prints the first process of a container: the one that its cgroup names with the lowest id.
FIND_PROCESS = (
    'for f in /proc/[0-9]*/cgroup; do grep -q "$0" "$f" 2>/dev/null && '
    'echo "$f" | cut -d/ -f3; done | sort -n | head -n 1'
)


@pytest.fixture
def make_queue(kube: Kube, api: TasksApi) -> Iterator[MakeQueue]:  # noqa: ARG001  # order only
    """Make TaskQueues with one worker; all are removed afterwards."""
    made: list[str] = []

    def make(name: str, **options: Any) -> None:
        made.append(name)
        scaling = {"minReplicas": 1, "maxReplicas": 1}
        kube.apply(demo_queue(name, scaling=scaling, concurrency=TASKS, **options))
        until(lambda: ready_pods(kube, name), seconds=240, what=f"a ready worker of {name}")

    yield make
    for name in made:
        kube.delete("taskqueue", name)


def test_a_killed_workers_tasks_run_again_and_are_recorded_once(
    make_queue: MakeQueue, kube: Kube, api: TasksApi, target: Cluster
) -> None:
    make_queue("crash", task_seconds=20.0)  # far longer than it takes to kill it
    tasks = api.enqueue(emails("crash", TASKS))
    wait_running(api, tasks)
    (pod,) = ready_pods(kube, "crash")
    killed = kill_hard(target, container_id(pod))

    until(
        lambda: restarts(kube, pod["metadata"]["name"]) == 1,
        seconds=120,
        what=f"process {killed} ended and its container was started again",
    )
    wait_succeeded(api, tasks, seconds=240)
    for task_id in tasks:
        events = api.events(task_id)
        assert events["task_succeeded"] == 1, events
        assert events["task_started"] == 2, events
        assert events["lease_expired"] == 1, events
        assert api.task(task_id)["retry_count"] == 1


@pytest.mark.parametrize(
    ("name", "task_seconds", "drain_seconds", "starts"),
    [("drain-short", 5.0, 30, 1), ("drain-long", 20.0, 2, 2)],
    ids=["running tasks finish", "what is too long is given back"],
)
def test_a_deleted_pod_charges_no_retry(
    make_queue: MakeQueue,
    kube: Kube,
    api: TasksApi,
    *,
    name: str,
    task_seconds: float,
    drain_seconds: int,
    starts: int,
) -> None:
    make_queue(name, task_seconds=task_seconds, drainSeconds=drain_seconds)
    tasks = api.enqueue(emails(name, TASKS))
    wait_running(api, tasks)
    (pod,) = ready_pods(kube, name)
    kube.run("delete", "pod", pod["metadata"]["name"], "--timeout=90s")

    wait_succeeded(api, tasks, seconds=240)
    for task_id in tasks:
        events = api.events(task_id)
        assert events["task_succeeded"] == 1, events
        assert events["task_started"] == starts, events
        assert events["task_released"] == starts - 1, events
        assert events["lease_expired"] == 0, events
        assert api.task(task_id)["retry_count"] == 0


def ready_pods(kube: Kube, queue: str) -> list[dict[str, Any]]:
    """Return the queue's worker pods that are ready."""
    return [
        pod
        for pod in kube.pods(pods_of(queue))
        if all(each["ready"] for each in pod["status"].get("containerStatuses", [{"ready": False}]))
    ]


def restarts(kube: Kube, pod: str) -> int:
    return int(kube.get("pod", pod)["status"]["containerStatuses"][0]["restartCount"])


def kill_hard(target: Cluster, container: str) -> int:
    """Kill the first process of a container with SIGKILL, from the node; return its id there."""
    found = run(target.on_node(["sh", "-c", FIND_PROCESS, container])).strip()
    assert found.isdigit(), f"no process of container {container} on the node: {found!r}"
    run(target.on_node(["sh", "-c", 'kill -KILL "$0"', found]))
    return int(found)


def run(argv: list[str]) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def wait_running(api: TasksApi, tasks: list[str]) -> None:
    until(lambda: api.statuses(tasks)["running"] == len(tasks), seconds=120, what="all tasks run")


def wait_succeeded(api: TasksApi, tasks: list[str], seconds: float) -> None:
    until(
        lambda: api.statuses(tasks)["succeeded"] == len(tasks),
        seconds=seconds,
        what="all tasks succeed",
    )
