"""A scaling decision in words: what was read, what was called for, what bounded it."""

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tidemill_cli.__main__ import run
from tidemill_cli.explaining.cluster import told_of
from tidemill_cli.explaining.told import Told, lines

KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: here
contexts: [{{name: here, context: {{cluster: here, user: me}}}}]
clusters: [{{name: here, cluster: {{server: "http://127.0.0.1:{}"}}}}]
users: [{{name: me, user: {{token: none}}}}]
"""
NOW = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)


def status(**changes: Any) -> dict[str, Any]:
    decision = {
        "time": "2026-03-01T12:00:00Z",
        "replicas": 10,
        "rule": "depth",
        "reason": "100 waiting and 0 running tasks at 5 a replica call for 20; at most 10 are "
        "allowed, not 20: 10 replicas",
        "clamps": ["maxReplicas: at most 10 are allowed, not 20"],
        "inputs": {
            "queued": 100,
            "dueSoon": 0,
            "running": 0,
            "oldestSeconds": 1.5,
            "arrivalPerSecond": 1.6,
            "replicas": 0,
            "readyReplicas": 0,
            "startingReplicas": 0,
            "freeConnections": 80,
            "needed": 20,
        },
    }
    ready = {
        "type": "Ready",
        "status": "False",
        "reason": "WorkersStarting",
        "message": "0 of 10 workers are ready",
    }
    calm = {"type": "ScalerConflict", "status": "False", "reason": "NoConflict", "message": "x"}
    return {"lastDecision": decision, "conditions": [ready, calm], **changes}


def task_queue(**found: Any) -> dict[str, Any]:
    meta = {"name": "mail", "namespace": "tasks"}
    return {"metadata": meta, "spec": {"queue": "mails"}, **found}


def test_a_task_queue_is_told_with_its_reasons_and_its_troubles() -> None:
    assert list(lines(told_of(task_queue(status=status())), NOW)) == [
        (
            "queue mails (TaskQueue tasks/mail): 0 -> 10 workers, since 2026-03-01 12:00:00 UTC "
            "(0:00:30 ago)"
        ),
        (
            "  because     100 waiting and 0 running tasks at 5 a replica call for 20; at most 10 "
            "are allowed, not 20: 10 replicas"
        ),
        "  tasks       100 queued, 0 due soon, 0 running, the oldest waits 1.5 s",
        "  load        1.6 tasks/s come",
        "  workers     0 wanted before, 0 ready, 0 starting",
        "  need        the rules call for 20, 80 connections are free",
        "  bounded by  maxReplicas: at most 10 are allowed, not 20",
        "  not Ready   WorkersStarting: 0 of 10 workers are ready",
    ]


def test_one_that_nobody_looked_at_yet_says_so() -> None:
    first, why = lines(told_of(task_queue()), NOW)
    assert first == "queue mails (TaskQueue tasks/mail): no decision yet"
    assert "is it running?" in why


def test_one_worker_that_stays_is_one_worker() -> None:
    told = Told(
        target="up/here", queue="*", at=NOW - timedelta(hours=1), replicas=1, before=1, reason="r"
    )
    assert next(lines(told, NOW)) == (
        "all queues that no TaskQueue names (up/here): 1 worker, "
        "since 2026-03-01 11:00:30 UTC (1:00:00 ago)"
    )


def test_large_figures_are_told_in_full() -> None:
    inputs = {"queued": 1_234_567, "oldestSeconds": 1_036_800.5, "arrivalPerSecond": 0.125}
    told = Told(
        target="up/here", queue="*", at=NOW, replicas=1, before=1, reason="r", inputs=inputs
    )
    _, _, tasks, load = lines(told, NOW)
    assert tasks == "  tasks       1234567 queued, the oldest waits 1036800.5 s"
    assert load == "  load        0.125 tasks/s come"


def test_for_programs_it_is_the_same_by_name() -> None:
    told = told_of(task_queue(status=status())).as_json()
    assert told["decided_at"] == "2026-03-01T12:00:00+00:00"
    assert (told["replicas"], told["before"], told["inputs"]["needed"]) == (10, 0, 20)
    assert told["clamps"] == ["maxReplicas: at most 10 are allowed, not 20"]
    assert told["conditions"][0]["reason"] == "WorkersStarting"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["deploy/mail"], 2, "must be tq/NAME or a queue's name (got deploy/mail)"),
        (["tq/"], 2, "must be tq/NAME or a queue's name (got tq/)"),
        (["tq/mail", "--history", "3"], 2, "--history goes with a queue's name"),
        (["mail", "-n", "tasks"], 2, "--namespace goes with a TaskQueue: tq/mail"),
        (["tq/mail"], 2, "cannot log in to Kubernetes"),
    ],
)
def test_what_cannot_be_explained_is_refused(
    arguments: list[str],
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/no/such/kubeconfig")
    assert run(["explain", *arguments]) == code
    assert message in capsys.readouterr().err


def _unanswered(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    assert run(["explain", "tq/mail"]) == 1


def test_a_cluster_that_does_not_answer_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kubeconfig = tmp_path / "config"
    with socket.socket() as nobody:  # bound, not listening: whoever comes is refused
        nobody.bind(("127.0.0.1", 0))
        kubeconfig.write_text(KUBECONFIG.format(nobody.getsockname()[1]))
        _unanswered(kubeconfig, monkeypatch)
    assert capsys.readouterr().err.startswith("tidemill: the cluster does not answer: GET /apis/")
