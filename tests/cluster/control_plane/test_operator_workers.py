"""The operator makes and scales workers: against a real API server, with a real database."""

import psycopg

from tests.support.control_plane import ControlPlane, Operator, plain_deployment, task_queue
from tests.support.waiting import until

QUICK = {"idleSeconds": 1, "scaleDown": {"stabilizationWindowSeconds": 1}}
SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "tidemill-database"},
    "stringData": {"url": "postgresql://nobody@example.com/none"},
}


def enqueue(url: str, queue: str, count: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT tidemill.enqueue('any', '{}', queue => %s) FROM generate_series(1, %s)",
            [queue, count],
        )


def empty(url: str, queue: str) -> None:
    """Take all waiting tasks away, as if they had been done."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "DELETE FROM tidemill.ready r USING tidemill.queues q"
            " WHERE q.id = r.queue_id AND q.name = %s",
            [queue],
        )


def test_a_deployment_is_made_from_spec_worker_and_scaled_from_zero_and_back(
    clean: ControlPlane, operator: Operator, database_url: str
) -> None:
    clean.apply(SECRET)
    clean.apply(task_queue("emails", {"worker": {}, "scaling": {"maxReplicas": 4, **QUICK}}))
    until(lambda: clean.replicas("emails-worker") == 0, seconds=20, what="made at zero")

    enqueue(database_url, "emails", 12)
    until(lambda: clean.replicas("emails-worker") == 3, seconds=10, what="12 tasks at 5 a replica")
    enqueue(database_url, "emails", 100)
    until(lambda: clean.replicas("emails-worker") == 4, seconds=10, what="at most maxReplicas")
    empty(database_url, "emails")
    until(lambda: clean.replicas("emails-worker") == 0, seconds=20, what="back to zero")
    assert "Traceback" not in operator.said()


def test_the_target_of_scale_target_ref_is_scaled_and_left_with_a_worker(
    clean: ControlPlane, operator: Operator, database_url: str
) -> None:
    clean.apply(plain_deployment("mine", replicas=0))
    spec = {"scaleTargetRef": {"name": "mine"}, "scaling": QUICK}
    clean.apply(task_queue("reports", spec))
    until(lambda: clean.status("reports").get("desiredReplicas") == 0, seconds=20, what="seen")

    enqueue(database_url, "reports", 12)
    until(lambda: clean.replicas("mine") == 3, seconds=10, what="12 tasks at 5 a replica")
    empty(database_url, "reports")
    until(lambda: clean.replicas("mine") == 0, seconds=20, what="back to zero")
    clean.run("delete", "taskqueue", "reports")
    until(lambda: clean.replicas("mine") == 1, seconds=20, what="left with one")
    assert "Traceback" not in operator.said()
