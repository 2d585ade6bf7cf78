"""external.metrics.k8s.io served by the operator, behind a real API server, for a real HPA."""

import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import aggregation
from tests.support.aggregation import METRICS, asked, front_proxy, refusal, values
from tests.support.control_plane import ControlPlane, Operator, plain_deployment, task_queue
from tests.support.scaling import empty, enqueue
from tests.support.tls import Authority
from tests.support.waiting import until
from tidemill_cli.local.postgres import EmbeddedPostgres, free_port

TASKS = "tidemill_queue_tasks"
ADMIN = {"X-Remote-User": "someone", "X-Remote-Group": "system:masters"}


@dataclass(frozen=True)
class Bench:
    """A way to operators that serve the metrics."""

    port: int
    authority: Authority
    certificates: Path

    @property
    def settings(self) -> dict[str, str]:
        return {
            "TIDEMILL_OPERATOR_METRICS_PORT": str(self.port),
            "TIDEMILL_OPERATOR_METRICS_CERTS": str(self.certificates),
        }


@pytest.fixture
def bench(clean: ControlPlane, tmp_path: Path) -> Iterator[Bench]:
    aggregation.allow(clean)
    authority = Authority(tmp_path, "metrics-ca")
    yield Bench(free_port(), authority, aggregation.certificates(tmp_path, authority))
    aggregation.part(clean)
    clean.run("delete", "hpa", "--all")


def serve(plane: ControlPlane, name: str, replicas: int = 1) -> None:
    plane.apply(plain_deployment(name, replicas=replicas))
    scaling = {"mode": "External", "tasksPerReplica": 4}
    spec = {"scaleTargetRef": {"name": name}, "scaling": scaling, "replicas": replicas}
    plane.apply(task_queue(name, spec))
    until(lambda: "selector" in plane.status(name), seconds=60, what="the operator has seen it")


def autoscaler(name: str) -> dict[str, Any]:
    metric = {"name": TASKS, "selector": {"matchLabels": {"queue": name}}}
    target = {"type": "AverageValue", "averageValue": "5"}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {
                "apiVersion": "tidemill.dev/v1alpha1",
                "kind": "TaskQueue",
                "name": name,
            },
            "minReplicas": 1,
            "maxReplicas": 10,
            "metrics": [{"type": "External", "external": {"metric": metric, "target": target}}],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
        },
    }


def test_a_real_autoscaler_drives_a_task_queue_up_and_down(
    clean: ControlPlane,
    start_operator: Callable[..., Operator],
    database_url: str,
    bench: Bench,
) -> None:
    operator = start_operator(**bench.settings)
    aggregation.aggregate(clean, bench.authority, bench.port)
    serve(clean, "driven")
    enqueue(database_url, "driven", 23)
    clean.apply(autoscaler("driven"))
    until(lambda: clean.replicas("driven") == 5, seconds=180, what="five for 23 tasks")
    assert clean.get("taskqueue", "driven")["spec"]["replicas"] == 5
    empty(database_url, "driven")
    until(lambda: clean.replicas("driven") == 1, seconds=180, what="down to the one it keeps")
    assert "Traceback" not in operator.said()


def test_only_queues_of_served_task_queues_in_the_namespace_are_told(
    clean: ControlPlane,
    start_operator: Callable[..., Operator],
    database_url: str,
    bench: Bench,
) -> None:
    start_operator(**bench.settings)
    aggregation.aggregate(clean, bench.authority, bench.port)
    serve(clean, "one")
    serve(clean, "two")
    clean.apply(task_queue("late", {"queue": "two", "scaleTargetRef": {"name": "one"}}))
    enqueue(database_url, "one", 9)
    enqueue(database_url, "unnamed", 7)
    until(lambda: values(clean, TASKS) == {"one": "9", "two": "0"}, seconds=60, what="both")
    assert values(clean, TASKS, "queue=one") == {"one": "9"}
    assert values(clean, TASKS, "taskqueue=two") == {"two": "0"}
    assert values(clean, "tidemill_queue_desired_workers", "queue=one") == {"one": "3"}
    assert values(clean, "tidemill_queue_running", "queue%20in%20(one,x)") == {"one": "0"}
    assert "has no served TaskQueue that 'queue=unnamed'" in refusal(clean, TASKS, "queue=unnamed")
    assert "there is no metric tidemill_lag" in refusal(clean, "tidemill_lag")
    assert "cannot be read at 'a b'" in refusal(clean, TASKS, "a%20b")
    assert TASKS in clean.run("get", "--raw", "/apis/external.metrics.k8s.io/v1beta1")


def test_a_database_that_is_away_is_no_zero_and_an_operator_that_stands_by_answers(
    clean: ControlPlane,
    start_operator: Callable[..., Operator],
    private_server: EmbeddedPostgres,
    migrated: str,
    bench: Bench,
) -> None:
    start_operator(migrated)  # it acts
    standby = start_operator(migrated, **bench.settings)
    assert "standing by" in standby.probe("/readyz")
    aggregation.aggregate(clean, bench.authority, bench.port)
    serve(clean, "held")
    enqueue(migrated, "held", 3)
    until(lambda: values(clean, TASKS) == {"held": "3"}, seconds=60, what="answers")
    private_server.crash()
    until(lambda: "queues cannot be read" in refusal(clean, TASKS), seconds=60, what="no figure")
    private_server.start()
    until(lambda: not refusal(clean, TASKS), seconds=120, what="answers again")
    assert values(clean, TASKS) == {"held": "3"}
    assert "standing by" in standby.probe("/readyz")


def test_nobody_but_the_api_server_is_answered_and_its_client_needs_the_right(
    clean: ControlPlane,
    start_operator: Callable[..., Operator],
    bench: Bench,
) -> None:
    start_operator(**bench.settings)
    serve(clean, "guarded")
    proxy, path = front_proxy(clean), f"{METRICS}/{TASKS}"
    listening(bench.port)

    def answer(
        headers: dict[str, str], certificate: tuple[Path, Path] | None = proxy
    ) -> tuple[int, Any]:
        return asked(
            bench.port, path, authority=bench.authority, proxy=certificate, headers=headers
        )

    assert answer(ADMIN)[0] == 200
    status, body = answer(ADMIN, None)
    assert (status, body["kind"], body["reason"]) == (401, "Status", "Unauthorized")
    assert answer({})[0] == 401
    status, body = answer({"X-Remote-User": "nobody"})
    assert (status, body["reason"]) == (403, "Forbidden")
    assert "nobody may not list tidemill_queue_tasks" in body["message"]
    forged = bench.authority.sign("front-proxy-client", "front-proxy-client")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        answer(ADMIN, forged)
    assert answer(ADMIN)[0] == 200  # the others are answered as before


def test_a_certificate_that_is_replaced_is_shown_without_a_restart(
    clean: ControlPlane,
    start_operator: Callable[..., Operator],
    bench: Bench,
    tmp_path: Path,
) -> None:
    operator = start_operator(**bench.settings)
    serve(clean, "renewed")
    listening(bench.port)

    def shown() -> str:
        try:
            return ssl.get_server_certificate(("127.0.0.1", bench.port), timeout=30)
        except OSError:  # between the old and the new one
            return ""

    before = shown()
    aggregation.certificates(tmp_path, bench.authority)
    new = (bench.certificates / "tls.crt").read_text()
    until(lambda: shown().split() == new.split(), seconds=120, what="the new one is shown")
    assert before.split() != new.split()
    assert operator.probe("/healthz")


def listening(port: int) -> None:
    def listens() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=30).close()
        except OSError:
            return False
        return True

    until(listens, seconds=60, what="it listens")
