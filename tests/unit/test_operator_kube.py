"""The thin edge to the Kubernetes API: what it sends, and how errors come out."""

import json
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from kubernetes import client

from tidemill.errors import ConfigurationError, TidemillError
from tidemill_cli.local.postgres import free_port
from tidemill_operator import kube as edge
from tidemill_operator import login
from tidemill_operator.kube import Kube
from tidemill_operator.kube_errors import (
    KubeConflict,
    KubeForbidden,
    KubeInvalid,
    KubeNotFound,
    KubeUnavailable,
)


class Server(ThreadingHTTPServer):
    """Answers every request with `answer` and remembers it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer: tuple[int, bytes] = (200, b"{}")
        self.requests: list[tuple[str, str, str | None, Any]] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = self.headers.get("Content-Type")
        self.server.requests.append(
            (self.command, self.path, kind, json.loads(body) if body else None)
        )
        status, answer = self.server.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_PUT = do_POST = do_PATCH = _serve  # noqa: N815  http.server's names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's name
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
async def kube(server: Server) -> AsyncIterator[Kube]:
    made = Kube(client.Configuration(host=f"http://127.0.0.1:{server.server_port}"))
    yield made
    await made.close()


DEPLOYMENT: dict[str, Any] = {
    "metadata": {"name": "d", "namespace": "n", "resourceVersion": "42"},
    "spec": {"replicas": 1},
}


async def test_a_scale_carries_the_version_that_the_decision_was_made_from(
    server: Server, kube: Kube
) -> None:
    await kube.write_scale(DEPLOYMENT, 3)
    ((method, path, _, body),) = server.requests
    assert method == "PUT"
    assert path.startswith("/apis/apps/v1/namespaces/n/deployments/d/scale?fieldManager=tidemill")
    assert body["metadata"]["resourceVersion"] == "42"
    assert body["spec"] == {"replicas": 3}


async def test_a_deployment_is_applied_by_our_own_manager(server: Server, kube: Kube) -> None:
    await kube.apply_deployment(DEPLOYMENT)
    ((method, path, kind, body),) = server.requests
    assert (method, kind) == ("PATCH", "application/apply-patch+yaml")
    assert "fieldManager=tidemill-operator" in path
    assert body == DEPLOYMENT


async def test_the_status_is_replaced_with_the_version_that_was_read(
    server: Server, kube: Kube
) -> None:
    task_queue = {**DEPLOYMENT, "status": {"queued": 1}}
    await kube.write_status(task_queue, {"queued": 2})
    ((method, path, _, body),) = server.requests
    assert (method, path) == (
        "PUT",
        "/apis/tidemill.dev/v1alpha1/namespaces/n/taskqueues/d/status",
    )
    assert body["metadata"]["resourceVersion"] == "42"
    assert body["status"] == {"queued": 2}


async def test_of_a_secret_only_the_keys_come_out(server: Server, kube: Kube) -> None:
    server.answer = (200, b'{"data": {"url": "c2VjcmV0", "ca.crt": "eA=="}}')
    assert await kube.secret_keys("n", "s") == {"url", "ca.crt"}


async def test_listed_task_queues_say_what_they_are(server: Server, kube: Kube) -> None:
    server.answer = (200, b'{"items": [{"metadata": {"name": "a"}}]}')
    (found,) = await kube.task_queues(None)
    assert (found["kind"], found["apiVersion"]) == ("TaskQueue", "tidemill.dev/v1alpha1")
    assert server.requests[0][1] == "/apis/tidemill.dev/v1alpha1/taskqueues"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, KubeInvalid),
        (401, KubeForbidden),
        (403, KubeForbidden),
        (404, KubeNotFound),
        (409, KubeConflict),
        (422, KubeInvalid),
        (429, KubeUnavailable),
        (500, KubeUnavailable),
        (503, KubeUnavailable),
    ],
)
async def test_answers_become_our_errors_with_the_servers_words(
    server: Server, kube: Kube, status: int, kind: type[TidemillError]
) -> None:
    server.answer = (status, b'{"kind": "Status", "message": "because of this"}')
    with pytest.raises(kind, match=r"GET .*/deployments/d: because of this"):
        await kube.deployment("n", "d")


async def test_an_answer_that_is_no_json_is_an_error_too(server: Server, kube: Kube) -> None:
    server.answer = (502, b"<html>bad gateway</html>")
    with pytest.raises(KubeUnavailable, match="bad gateway"):
        await kube.deployment("n", "d")
    server.answer = (200, b"<html>")
    with pytest.raises(KubeInvalid, match="no JSON"):
        await kube.deployment("n", "d")


async def test_nobody_there_is_unavailable() -> None:
    kube = Kube(client.Configuration(host=f"http://127.0.0.1:{free_port()}"))
    with pytest.raises(KubeUnavailable):
        await kube.deployment("n", "d")
    await kube.close()


async def test_a_server_that_does_not_answer_is_given_up_on(
    server: Server, kube: Kube, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    monkeypatch.setattr(edge, "READ_SECONDS", 0.2)
    monkeypatch.setattr(Handler, "do_GET", lambda _: release.wait(10))
    try:
        with pytest.raises(KubeUnavailable, match=r"(?i)timed? ?out"):
            await kube.deployment("n", "d")
    finally:
        release.set()
    assert server.requests == []


def test_without_any_cluster_the_message_names_the_ways(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ConfigurationError, match="KUBECONFIG is not set"):
        login.configuration({}, connections=1)
    with pytest.raises(ConfigurationError, match="cannot log in"):
        login.configuration({"KUBECONFIG": str(tmp_path / "none")}, connections=1)


def test_kopf_gets_the_same_account() -> None:
    configuration = client.Configuration(host="https://example.com:6443")
    configuration.ssl_ca_cert = "/ca.crt"
    configuration.api_key["BearerToken"] = "bearer abc"
    info = login.connection_info(configuration)
    assert (info.server, info.ca_path, info.scheme, info.token) == (
        "https://example.com:6443",
        "/ca.crt",
        "bearer",
        "abc",
    )
    configuration.api_key["BearerToken"] = "abc"
    bare = login.connection_info(configuration)
    assert (bare.scheme, bare.token) == (None, "abc")
