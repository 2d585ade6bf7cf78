"""The thin edge to the Kubernetes API: what it sends, and how errors come out."""

import json
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from tidemill.errors import ConfigurationError, TidemillError
from tidemill_cli.local.postgres import free_port
from tidemill_operator import login
from tidemill_operator.kube import Kube
from tidemill_operator.kube_errors import (
    KubeConflict,
    KubeForbidden,
    KubeInvalid,
    KubeNotFound,
    KubeUnavailable,
)
from tidemill_operator.leading import NotLeading


class Server(ThreadingHTTPServer):
    """Answers every request with `answer` and remembers it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer: tuple[int, bytes] = (200, b"{}")
        self.retry_after = ""
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
        if self.server.retry_after:
            self.send_header("Retry-After", self.server.retry_after)
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


class Leads:
    """Leads as far as it knows, or not; whoever asks once more is told that it does not."""

    def __init__(self, *, leads: bool) -> None:
        self.leads = leads
        self.confirmed = 0

    def check(self) -> None:
        if not self.leads:
            raise NotLeading("not ours")

    async def confirm(self) -> None:
        self.confirmed += 1
        raise NotLeading("not ours any more")


@pytest.fixture
async def gated(server: Server) -> AsyncIterator[tuple[Kube, Leads]]:
    gate = Leads(leads=False)
    made = Kube(client.Configuration(host=f"http://127.0.0.1:{server.server_port}"), gate)
    yield made, gate
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


POD: dict[str, Any] = {
    "metadata": {"name": "p", "namespace": "n", "uid": "u", "resourceVersion": "8", "labels": {}}
}


async def test_an_annotation_carries_the_version_that_the_decision_was_made_from(
    server: Server, kube: Kube
) -> None:
    await kube.annotate_pod(POD, {"cost": "-5"})
    ((_, _, _, body),) = server.requests
    assert body["metadata"] == {"uid": "u", "resourceVersion": "8", "annotations": {"cost": "-5"}}


async def test_who_does_not_lead_reads_and_writes_nothing(
    server: Server, gated: tuple[Kube, Leads]
) -> None:
    kube, _ = gated
    with pytest.raises(NotLeading):
        await kube.write_scale(DEPLOYMENT, 3)
    with pytest.raises(NotLeading):
        await kube.annotate_pod(POD, {})
    assert server.requests == []
    await kube.deployment("n", "d")
    assert len(server.requests) == 1


async def test_after_a_conflict_it_is_asked_who_leads(
    server: Server, gated: tuple[Kube, Leads]
) -> None:
    kube, gate = gated
    gate.leads = True
    server.answer = (409, b'{"message": "changed"}')
    with pytest.raises(NotLeading, match="any more"):
        await kube.write_scale(DEPLOYMENT, 3)
    assert gate.confirmed == 1


async def test_a_server_that_does_not_answer_is_given_up_on(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    there = client.Configuration(host=f"http://127.0.0.1:{server.server_port}")
    kube = Kube(there, seconds=(3.0, 0.2))
    monkeypatch.setattr(Handler, "do_GET", lambda _: release.wait(10))
    try:
        with pytest.raises(KubeUnavailable, match=r"(?i)timed? ?out"):
            await kube.deployment("n", "d")
    finally:
        release.set()
        await kube.close()
    assert server.requests == []


async def test_an_answer_with_retry_after_is_an_answer_and_not_waited_for(
    server: Server, tmp_path: Path
) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    address = f"http://127.0.0.1:{server.server_address[1]}"
    content: dict[str, Any] = {
        "clusters": [{"name": "it", "cluster": {"server": address}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "users": [{"name": "it", "user": {}}],
        "current-context": "it",
    }
    kubeconfig.write_text(json.dumps(content))
    server.answer, server.retry_after = (429, b'{"message": "come back later"}'), "3600"
    kube = Kube(login.configuration({"KUBECONFIG": str(kubeconfig)}, connections=1))
    try:
        with pytest.raises(KubeUnavailable, match="come back later"):
            await kube.deployment("default", "x")
    finally:
        await kube.close()
    assert len(server.requests) == 1


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
