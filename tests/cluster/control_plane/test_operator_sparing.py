"""Scaling down on a real API server: its controller takes the pods, we say which are busy."""

from tests.support.control_plane import ControlPlane, Operator, plain_deployment, task_queue
from tests.support.scaling import QUICK, empty, enqueue
from tests.support.waiting import until
from tidemill.models import WorkerInfo
from tidemill.store import Store
from tidemill.store.claimer import Claimer


async def claim_one(store: Store, pod_uid: str) -> None:
    """Have a worker of this pod take one task in hand."""
    info = WorkerInfo(
        name=pod_uid,
        slots=1,
        queues=("busy",),
        version="0",
        hostname="h",
        pid=1,
        pod_uid=pod_uid,
        container="worker",
        instance="1",
    )
    worker = await store.workers.register(info)
    (task,) = await Claimer(store, worker, queues=["busy"], lease_seconds=600).claim(1)
    assert task.queue == "busy"


async def test_pods_with_tasks_in_hand_stay_and_the_idle_ones_go(
    clean: ControlPlane, operator: Operator, database_url: str, store: Store
) -> None:
    clean.apply(plain_deployment("busy", replicas=0))
    clean.apply(task_queue("busy", {"scaleTargetRef": {"name": "busy"}, "scaling": QUICK}))
    enqueue(database_url, "busy", 25)

    def pods() -> set[str]:
        return {each["metadata"]["uid"] for each in clean.get("pods", "-l", "app=busy")}

    until(lambda: len(pods()) == 5, seconds=60, what="five pods")
    busy = set(sorted(pods())[:2])
    for uid in busy:
        await claim_one(store, uid)
    empty(database_url, "busy")  # 2 running tasks call for one pod

    until(lambda: len(pods()) == 2, seconds=60, what="the idle ones are gone")
    assert pods() == busy
    until(
        lambda: (
            "workers have tasks in hand and are kept"
            in clean.run("get", "tq", "busy", "-o", "wide")
        ),
        seconds=60,
        what="says why there are still two",
    )
    assert clean.replicas("busy") == 2
    assert "Traceback" not in operator.said()
