"""The mode External on a real API server: spec.replicas is obeyed, and idle workers go first."""

import psycopg

from tests.support.control_plane import ControlPlane, Operator, plain_deployment, task_queue
from tests.support.kubelet import Kubelet
from tests.support.outside import enqueue_long, holders, probed, register, show_ready, uids_of
from tests.support.scaling import enqueue
from tests.support.waiting import until
from tidemill.store import Store

APP = "tests.support.worker_app:app"
EXTERNAL = {"mode": "External"}


def test_of_workers_that_kubernetes_sees_alike_idle_ones_go_when_somebody_scales_down(
    clean: ControlPlane, operator: Operator, database_url: str
) -> None:
    clean.apply(probed("outside"))
    clean.apply(
        task_queue(
            "outside",
            {"scaleTargetRef": {"name": "outside"}, "scaling": EXTERNAL, "replicas": 4},
        )
    )
    arguments = ["--queue", "outside", "--concurrency", "1"]
    with Kubelet(
        clean.kubeconfig, "app=outside", database_url, APP, arguments=arguments
    ) as kubelet:
        until(lambda: kubelet.ready == 4, seconds=120, what="four workers")
        enqueue_long(database_url, "outside", 2)
        busy = until(
            lambda: found if len(found := holders(database_url)) == 2 else None,
            seconds=60,
            what="two of them are busy",
        )
        clean.run("scale", "tq/outside", "--replicas=2")
        until(lambda: kubelet.check() == 2, seconds=120, what="two are gone")
        assert kubelet.gone.held == [0, 0]
        assert uids_of(clean, "outside") == busy
        assert clean.replicas("outside") == 2
    assert "Traceback" not in operator.said()


def until_left(plane: ControlPlane, uids: set[str]) -> None:
    until(lambda: len(uids_of(plane, "outside")) == len(uids), seconds=60, what="obeyed")
    assert uids_of(plane, "outside") == uids


async def test_where_too_few_are_idle_those_with_the_fewest_tasks_go(
    clean: ControlPlane, operator: Operator, database_url: str, store: Store
) -> None:
    clean.apply(plain_deployment("outside", replicas=0))
    spec = {"scaleTargetRef": {"name": "outside"}, "scaling": EXTERNAL, "replicas": 4}
    clean.apply(task_queue("outside", spec))
    until(lambda: len(uids_of(clean, "outside")) == 4, seconds=60, what="four pods")
    enqueue(database_url, "outside", 13)
    pods = sorted(uids_of(clean, "outside"))
    for uid, tasks in zip(pods, (8, 0, 1, 4), strict=True):
        await register(store, "outside", uid, tasks)

    for replicas, left in ((3, {0, 2, 3}), (2, {0, 3}), (1, {0})):
        clean.run("scale", "tq/outside", f"--replicas={replicas}")
        until_left(clean, {pods[each] for each in left})
    assert "Traceback" not in operator.said()


async def test_spec_replicas_is_obeyed_in_the_end_though_an_idle_worker_stays_ready(
    clean: ControlPlane, operator: Operator, database_url: str, store: Store
) -> None:
    clean.apply(probed("outside"))
    spec = {"scaleTargetRef": {"name": "outside"}, "scaling": EXTERNAL, "replicas": 2}
    clean.apply(task_queue("outside", spec))
    until(lambda: len(uids_of(clean, "outside")) == 2, seconds=60, what="two pods")
    for uid in uids_of(clean, "outside"):
        await register(store, "outside", uid, 0)
    show_ready(clean, "outside")
    clean.run("scale", "tq/outside", "--replicas=1")
    until(
        lambda: "idle workers leave once" in clean.run("get", "tq", "outside", "-o", "wide"),
        seconds=60,
        what="says what it waits for",
    )
    with psycopg.connect(database_url) as connection:
        marked = connection.execute("SELECT count(*) FROM tidemill.workers WHERE draining")
        assert marked.fetchone() == (1,)
    until(lambda: clean.replicas("outside") == 1, seconds=60, what="obeyed")
    assert "Traceback" not in operator.said()


def test_a_missing_target_and_fields_without_effect_are_told(
    clean: ControlPlane,
    operator: Operator,  # noqa: ARG001  it runs
) -> None:
    scaling = {**EXTERNAL, "maxReplicas": 3}
    clean.apply(
        task_queue(
            "outside", {"scaleTargetRef": {"name": "later"}, "scaling": scaling, "replicas": 5}
        )
    )

    def scaling_active() -> tuple[str, str]:
        found = clean.condition("outside", "ScalingActive")
        return found.get("status", ""), found.get("reason", "")

    until(lambda: scaling_active() == ("False", "TargetNotFound"), seconds=60, what="it is said")
    clean.apply(plain_deployment("later", replicas=1))
    until(lambda: scaling_active() == ("True", "External"), seconds=60, what="it is found")
    until(lambda: clean.replicas("later") == 5, seconds=60, what="obeyed beyond maxReplicas")
    message = clean.condition("outside", "ScalingActive")["message"]
    assert "maxReplicas has no effect on it in the mode External" in message
