"""Plays the kubelet where there is none: a worker process for each pod, its probe as Ready."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from kubernetes import client

from bench.case import BenchError
from bench.scaling.core_api import core_api
from bench.scaling.nursery import Nursery, nursery
from bench.scaling.watching import Access, Watch, watching
from tidemill_cli.local.postgres import HOST, free_port

PROBE_SECONDS = 0.3
"""Between two probes; real pods of ours are asked once a second."""

GONE = 404
_Refused: Any = client.ApiException


@dataclass(frozen=True, slots=True)
class Stop:
    """A pod that was told to stop, at `at` by the wall's clock."""

    uid: str
    app: str
    at: float
    was_ready: bool
    """Whether it ever was: of one that was not nobody could know whether it works"""


@dataclass(slots=True)
class Pod:
    """A pod with a process."""

    uid: str
    name: str
    app: str
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    was_ready: bool = False


Worker = Callable[[str], tuple[dict[str, str], list[str]]]
"""Returns variables and arguments of a worker of an app; those that name the pod come on top."""


class Kubelet:
    """Runs the pods that a watch tells of. `stops` are those that have gone."""

    def __init__(self, api: Any, namespace: str, workers: Nursery, worker: Worker) -> None:
        """Start nothing yet. `api` is a CoreV1Api."""
        self._api, self._namespace = api, namespace
        self._nursery, self._worker = workers, worker
        self._pods: dict[str, Pod] = {}
        self.stops: list[Stop] = []

    async def run(self, watch: Watch) -> None:
        """Follow the watch until cancelled. Raises what went wrong with a pod."""
        async with asyncio.TaskGroup() as lives, aiohttp.ClientSession() as session:
            async for event in watch.following():
                uid, name, app = event.words
                if event.deleted:
                    self._gone(uid, time.time() - (time.monotonic() - event.at))
                elif uid not in self._pods:
                    self._pods[uid] = Pod(uid, name, app)
                    lives.create_task(self._live(self._pods[uid], session))

    def _gone(self, uid: str, at: float) -> None:
        if pod := self._pods.get(uid):
            self.stops.append(Stop(uid, pod.app, at, pod.was_ready))
            pod.gone.set()

    async def _live(self, pod: Pod, session: aiohttp.ClientSession) -> None:
        if not await self._show(pod, ready=False):
            return  # no process runs in a pod that shows as pending
        port, shown = free_port(), False
        variables, arguments = self._worker(pod.app)
        variables |= {
            "TIDEMILL_POD_UID": pod.uid,
            "TIDEMILL_POD_NAME": pod.name,
            "TIDEMILL_CONTAINER": "worker",
            "TIDEMILL_PROBE_PORT": str(port),
        }
        pid = await self._nursery.start(variables, arguments)
        while not await _passed(pod.gone, PROBE_SECONDS):
            ready = await _asked(session, port)
            if ready != shown and await self._show(pod, ready=ready):
                shown = ready
                pod.was_ready |= ready
        self._nursery.stop(pid)

    async def _show(self, pod: Pod, *, ready: bool) -> bool:
        """Write the pod's status; return whether the pod is still there."""
        condition = {"type": "Ready", "status": str(ready)}
        body = {"status": {"phase": "Running", "conditions": [condition]}}
        patch = self._api.patch_namespaced_pod_status
        try:
            await asyncio.to_thread(patch, pod.name, self._namespace, body)
        except _Refused as error:
            if error.status != GONE:
                raise
            return False
        return True


@asynccontextmanager
async def playing(access: Access, worker: Worker) -> AsyncGenerator[Kubelet]:
    """Yield a kubelet for all pods of a namespace. Raises BenchError when it failed."""
    fields = (".metadata.uid", ".metadata.name", ".metadata.labels.app")
    async with nursery() as workers, watching(access, "pods", *fields) as watch:
        with core_api(access.kubeconfig) as api:
            kubelet = Kubelet(api, access.namespace, workers, worker)
            running = asyncio.create_task(kubelet.run(watch), name="kubelet")
            try:
                yield kubelet
            finally:
                running.cancel()
                (ended,) = await asyncio.gather(running, return_exceptions=True)
            if not isinstance(ended, asyncio.CancelledError):
                raise BenchError(f"the kubelet failed: {ended!r}")


async def _passed(gone: asyncio.Event, seconds: float) -> bool:
    """Return whether it came within so long."""
    try:
        await asyncio.wait_for(gone.wait(), seconds)
    except TimeoutError:
        return False
    return True


async def _asked(session: aiohttp.ClientSession, port: int) -> bool:
    """Return what a worker's readiness probe says."""
    try:
        async with session.get(f"http://{HOST}:{port}/readyz") as answer:
            return answer.ok
    except aiohttp.ClientError:
        return False
