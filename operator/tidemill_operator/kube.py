"""A thin asynchronous edge over the sync Kubernetes client: JSON in, JSON out, errors translated.

One ApiClient is shared by a few threads; every call has a timeout. Nothing here decides anything.
While the API server is away or overloaded it is asked less and less often: calls fail at once then.
Writes that a decision led to carry the resourceVersion that the decision was made from, so that
a stale one is refused (KubeConflict). Who may write at all is the gate's to say.
"""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import urllib3.exceptions
from kubernetes import client

from tidemill.metrics import Counter
from tidemill_operator import kube_errors
from tidemill_operator.kube_errors import KubeConflict, KubeError, KubeInvalid, KubeUnavailable
from tidemill_operator.pacing import Backoff

Json = dict[str, Any]

REQUESTS = Counter(
    "tidemill_operator_api_requests_total",
    "Requests to the API server, watches left out; the code is `none` where no answer came",
    ["verb", "code"],
)

FIELD_MANAGER = "tidemill-operator"
THREADS = 8
CONNECT_SECONDS, READ_SECONDS = 3.0, 10.0
JSON_TYPE = "application/json"
APPLY_TYPE = "application/apply-patch+yaml"
MERGE_TYPE = "application/merge-patch+json"


class Gate(Protocol):
    """Who may write. Both raise where this operator may not, or not any more."""

    def check(self) -> None:
        """Return when this operator may write now, as far as it knows."""
        ...

    async def confirm(self) -> None:
        """Return when this operator may still write; asks, for it may not know yet."""
        ...


class Kube:
    """The calls that the operator makes. All raise a KubeError."""

    def __init__(
        self,
        configuration: client.Configuration,
        gate: Gate | None = None,
        *,
        threads: int = THREADS,
        seconds: tuple[float, float] = (CONNECT_SECONDS, READ_SECONDS),
        backoff: Backoff | None = None,
    ) -> None:
        """Nothing is connected yet. `seconds` = longest connect and read; no gate = may write.

        Without `backoff` a server that is away is asked at every call.
        """
        self._client: Any = client.ApiClient(configuration)
        self._client.user_agent = FIELD_MANAGER
        self._gate = gate
        self._seconds = seconds
        self._backoff = backoff
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="kube")

    async def close(self) -> None:
        """Wait for running calls and let the connections go."""
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)
        self._client.close()

    async def task_queues(self, namespace: str | None) -> list[Json]:
        """Return all TaskQueues of `namespace`, or of all namespaces."""
        listed = await self._call("GET", task_queue_path(namespace, ""))
        kind = {"apiVersion": "tidemill.dev/v1alpha1", "kind": "TaskQueue"}
        return [{**kind, **item} for item in listed["items"]]

    async def write_status(self, task_queue: Mapping[str, Any], status: Json) -> Json:
        """Replace the status of `task_queue` as it was read; returns it as it is now."""
        meta = task_queue["metadata"]
        path = f"{task_queue_path(meta['namespace'], meta['name'])}/status"
        return await self._call("PUT", path, body={**task_queue, "status": status})

    async def deployment(self, namespace: str, name: str) -> Json:
        """Return a Deployment."""
        return await self._call("GET", _deployment_path(namespace, name))

    async def apply_deployment(self, manifest: Json) -> Json:
        """Make the fields of `manifest` ours and as they say; returns the Deployment."""
        meta = manifest["metadata"]
        path = _deployment_path(meta["namespace"], meta["name"])
        query = [("fieldManager", FIELD_MANAGER), ("force", "true")]
        return await self._call("PATCH", path, query=query, body=manifest, content=APPLY_TYPE)

    async def write_scale(self, deployment: Mapping[str, Any], replicas: int) -> Json:
        """Set the replicas of `deployment`, unless it changed since it was read."""
        meta = deployment["metadata"]
        named = {key: meta[key] for key in ("name", "namespace", "resourceVersion")}
        return await self._call(
            "PUT",
            f"{_deployment_path(meta['namespace'], meta['name'])}/scale",
            query=[("fieldManager", FIELD_MANAGER)],
            body={
                "apiVersion": "autoscaling/v1",
                "kind": "Scale",
                "metadata": named,
                "spec": {"replicas": replicas},
            },
        )

    async def secret_keys(self, namespace: str, name: str) -> frozenset[str]:
        """Return the keys of a Secret; its values are dropped at once."""
        secret = await self._call("GET", f"/api/v1/namespaces/{namespace}/secrets/{name}")
        return frozenset(secret.get("data") or {})

    async def pods(self, namespace: str, selector: str) -> list[Json]:
        """Return the pods that match the label `selector`."""
        path = f"/api/v1/namespaces/{namespace}/pods"
        listed = await self._call("GET", path, query=[("labelSelector", selector)])
        items: list[Json] = listed["items"]
        return items

    async def annotate_pod(
        self, pod: Mapping[str, Any], annotations: Mapping[str, str | None]
    ) -> Json:
        """Set annotations of `pod` (None removes one), unless it changed since it was read."""
        meta = pod["metadata"]
        path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
        same = {key: meta[key] for key in ("uid", "resourceVersion")}
        body: Json = {"metadata": {**same, "annotations": dict(annotations)}}
        return await self._call("PATCH", path, body=body, content=MERGE_TYPE)

    async def lease(self, namespace: str, name: str) -> Json:
        """Return a Lease."""
        return await self._call("GET", f"{_lease_path(namespace)}/{name}")

    async def create_lease(self, lease: Json) -> Json:
        """Create a Lease; KubeConflict where there is one."""
        return await self._call("POST", _lease_path(lease["metadata"]["namespace"]), body=lease)

    async def replace_lease(self, lease: Json) -> Json:
        """Replace a Lease as it was read."""
        meta = lease["metadata"]
        path = f"{_lease_path(meta['namespace'])}/{meta['name']}"
        return await self._call("PUT", path, body=lease)

    async def post_event(self, namespace: str, event: Json) -> Json:
        """Create a core/v1 Event."""
        return await self._call("POST", f"/api/v1/namespaces/{namespace}/events", body=event)

    async def config_map(self, namespace: str, name: str) -> Json:
        """Return a ConfigMap."""
        return await self._call("GET", f"/api/v1/namespaces/{namespace}/configmaps/{name}")

    async def review_access(self, spec: Json) -> Json:
        """Return the status of a SubjectAccessReview: whether somebody may do something."""
        group = "authorization.k8s.io/v1"
        body = {"apiVersion": group, "kind": "SubjectAccessReview", "spec": spec}
        answer = await self._call("POST", f"/apis/{group}/subjectaccessreviews", body=body)
        status: Json = answer.get("status") or {}
        return status

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        body: Json | None = None,
        content: str = JSON_TYPE,
    ) -> Json:
        if self._gate is None or method == "GET":
            return await self._in_thread(method, path, list(query), body, content)
        self._gate.check()
        try:
            return await self._in_thread(method, path, list(query), body, content)
        except KubeConflict:
            await self._gate.confirm()
            raise

    async def _in_thread(
        self, method: str, path: str, query: list[tuple[str, str]], body: Json | None, content: str
    ) -> Json:
        loop, begun = asyncio.get_running_loop(), time.monotonic()
        if self._backoff is not None and self._backoff.seconds > 0:
            # The same words each time: whoever logs it logs it once.
            raise KubeUnavailable("the API server failed lately: it is asked again in a moment")
        try:
            found = await loop.run_in_executor(
                self._threads, self._call_in_thread, method, path, query, body, content
            )
        except KubeError as error:
            self._note(error, begun)
            raise
        self._note(None, begun)
        return found

    def _note(self, error: KubeError | None, begun: float) -> None:
        """Wait before the next call when the API server failed, not when it merely refused."""
        if self._backoff is None:
            return
        if isinstance(error, KubeUnavailable) and error.everywhere:
            self._backoff.failed(begun, error.retry_after)
        else:
            self._backoff.succeeded()

    def _call_in_thread(
        self, method: str, path: str, query: list[tuple[str, str]], body: Json | None, content: str
    ) -> Json:
        request = self._client.param_serialize(
            method,
            path,
            query_params=query,
            header_params={"Accept": JSON_TYPE, "Content-Type": content},
            body=body,
            auth_settings=["BearerToken"],
        )
        code = "none"
        try:
            answer = self._client.call_api(*request, _request_timeout=self._seconds)
            data = answer.read()
            code = str(answer.status)
        except urllib3.exceptions.HTTPError as error:
            raise KubeUnavailable(f"{method} {path}: {error}") from error
        except client.ApiException as error:  # TLS: the client's only error without an answer
            raise KubeUnavailable(f"{method} {path}: {str(error).strip()}") from error
        finally:
            REQUESTS.labels(method, code).inc()
        if not 200 <= answer.status < 300:  # noqa: PLR2004  the range of success in HTTP
            wait = answer.headers.get("Retry-After")
            raise kube_errors.of_answer(answer.status, data, f"{method} {path}", wait)
        return _parsed(data, f"{method} {path}")


def task_queue_path(namespace: str | None, name: str) -> str:
    """Return the API path of one TaskQueue, or of all (no name) of one or all namespaces."""
    within = f"/namespaces/{namespace}" if namespace else ""
    return f"/apis/tidemill.dev/v1alpha1{within}/taskqueues{f'/{name}' if name else ''}"


def _deployment_path(namespace: str, name: str) -> str:
    return f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"


def _lease_path(namespace: str) -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"


def _parsed(data: bytes, what: str) -> Json:
    try:
        value: Json = json.loads(data)
    except ValueError as error:
        raise KubeInvalid(f"{what}: the answer is no JSON") from error
    return value
