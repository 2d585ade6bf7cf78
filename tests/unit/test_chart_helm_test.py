"""`helm test`: one task is enqueued over HTTP, and has to succeed."""

import json
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.chart import CHART, Chart, names, one

SCRIPT = CHART / "files" / "test.py"
OWN = {"app": "mine.tasks:app", "test__type": "report", "test__payload": {"n": 1}}


def arguments(chart: Chart, **values: Any) -> list[str]:
    job = one(chart.render(**values), "Job", "tidemill-test")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "test"
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["python3", "-c"]
    found: list[str] = container["args"]
    return found


def test_the_demo_is_tested_out_of_the_box(chart: Chart) -> None:
    script, api, task, seconds = arguments(chart)
    assert script.strip() == SCRIPT.read_text().strip()
    assert (api, seconds) == ("tidemill-api:8080", "300")
    assert json.loads(task)["type"] == "send_email"


def test_an_app_of_ones_own_names_the_task(chart: Chart) -> None:
    assert "Job/tidemill-test" not in names(chart.render(app="mine.tasks:app"))
    task = json.loads(arguments(chart, **OWN)[2])
    assert (task["type"], task["payload"]) == ("report", {"n": 1})


def test_where_tokens_are_asked_for_it_has_one_or_is_left_out(chart: Chart) -> None:
    assert "Job/tidemill-test" not in names(chart.render(auth__existingSecret="tokens"))
    values = {"auth__existingSecret": "tokens", "test__tokenSecret": "mine"}
    place = Path(arguments(chart, **values)[4])
    pod = one(chart.render(**values), "Job", "tidemill-test")["spec"]["template"]["spec"]
    [mount] = [each for each in pod["containers"][0]["volumeMounts"] if each["name"] == "token"]
    [volume] = [each for each in pod["volumes"] if each["name"] == "token"]
    assert (mount["mountPath"], place.name) == (str(place.parent), "token")
    assert volume["secret"]["secretName"] == "mine"


@contextmanager
def answering(answers: list[tuple[int, dict[str, Any]]]) -> Generator[tuple[str, list[str]]]:
    """Yield the address of a server with these answers, and what it is asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked.append(f"{self.command} {self.path} {self.headers.get('Authorization')}")
            status, body = answers[min(len(asked), len(answers)) - 1]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        do_POST = do_GET  # noqa: N815  # the base class' name

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class' name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def script(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments], check=False, capture_output=True, text=True
    )


def task(status: str) -> dict[str, Any]:
    return {"id": "1", "type": "report", "status": status}


def test_a_task_that_succeeds_is_a_passed_test(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret\n")
    told = [(201, task("ready")), (200, task("running")), (200, task("succeeded"))]
    with answering(told) as (api, asked):
        done = script(api, "{}", "300", str(token))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-2:] == ["now running", "now succeeded"]
    assert asked == [
        "POST /api/tasks Bearer secret",
        "GET /api/tasks/1 Bearer secret",
        "GET /api/tasks/1 Bearer secret",
    ]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((201, task("failed")), "the task ended, but as failed"),
        ((201, task("ready")), "after 0 s the task is still ready: does a worker run its queue?"),
        ((400, {"detail": "no such type"}), 'the API answered 400: {"detail": "no such type"}'),
    ],
)
def test_anything_else_is_a_failed_test_that_says_why(
    answer: tuple[int, dict[str, Any]], said: str
) -> None:
    with answering([answer]) as (api, _):
        done = script(api, "{}", "0")
    assert (done.returncode, done.stderr.strip()) == (1, said)


def test_an_api_that_is_not_there_is_one_line() -> None:
    done = script("127.0.0.1:1", "{}", "0")
    assert done.returncode == 1
    assert done.stderr.startswith("the API at 127.0.0.1:1 cannot be reached: ")
    assert len(done.stderr.splitlines()) == 1
