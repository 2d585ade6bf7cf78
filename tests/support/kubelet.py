"""Plays the kubelet on an API server without nodes: a real worker process for each pod.

Each pod gets a `tidemill worker` with the pod's uid; what its probe says becomes the condition
Ready. When a pod goes, its process is told to stop, and how many tasks it had in hand is counted.
"""

import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg
from kubernetes import client, config

from tests.support.control_plane import NAMESPACE, ROOT
from tidemill_cli.local.postgres import free_port

LOOK_SECONDS = 0.1
PROBE_SECONDS = 2.0

_kubernetes: Any = config
_HELD = (
    "SELECT count(*) FROM tidemill.leases l JOIN tidemill.workers w ON w.id = l.worker_id "
    "WHERE w.pod_uid = %s"
)


@dataclass
class Running:
    """A pod's worker process."""

    name: str
    port: int
    process: "subprocess.Popen[bytes]"
    ready: bool = False
    started: bool = False

    def asked(self) -> bool:
        """Return what its readiness probe says."""
        url = f"http://127.0.0.1:{self.port}/readyz"
        try:
            with urllib.request.urlopen(url, timeout=PROBE_SECONDS) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


@dataclass
class Gone:
    """What was seen of the pods that went: tasks in hand at that moment, pod by pod.

    One that went before it was ever ready counts as having none: nobody could have known of it.
    """

    held: list[int] = field(default_factory=list[int])

    @property
    def busy(self) -> int:
        """How many pods had tasks in hand."""
        return sum(each > 0 for each in self.held)


class Kubelet:
    """Runs the pods that match a label selector, until it is left."""

    def __init__(
        self, kubeconfig: Path, selector: str, url: str, app: str, *, arguments: Sequence[str] = ()
    ) -> None:
        found = client.Configuration()
        _kubernetes.load_kube_config(config_file=str(kubeconfig), client_configuration=found)
        self._client: Any = client.ApiClient(found)
        self._pods: Any = client.CoreV1Api(self._client)
        self._selector, self._url, self._app = selector, url, app
        self._arguments = arguments
        self._running: dict[str, Running] = {}
        self._leaving: list[Running] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kubelet")
        self._error: BaseException | None = None
        self.gone = Gone()
        self.blind = False
        """Whether it asks no probes: what pods show stays as it is."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join()
        for each in (*self._running.values(), *self._leaving):
            each.process.kill()
            each.process.wait(timeout=30)
        self._client.close()

    def kill(self, uid: str) -> None:
        """Kill a pod's process, as a node that fails would."""
        self._running[uid].process.kill()

    def check(self) -> int:
        """Return how many pods have gone; raises what ended the thread."""
        if self._error is not None:
            raise self._error
        return len(self.gone.held)

    @property
    def ready(self) -> int:
        """How many pods are ready."""
        return sum(each.ready for each in tuple(self._running.values()))

    def _run(self) -> None:
        try:
            with psycopg.connect(self._url, autocommit=True) as connection:
                while not self._stopping.wait(LOOK_SECONDS):
                    self._look(connection)
        except Exception as error:  # noqa: BLE001  the test's thread raises it
            self._error = error

    def _look(self, connection: "psycopg.Connection[Any]") -> None:
        items = self._pods.list_namespaced_pod(NAMESPACE, label_selector=self._selector).items
        there = {each.metadata.uid: each.metadata.name for each in items}
        for uid in self._running.keys() - there.keys():
            self._end(uid, connection)
        for uid, name in there.items():
            if uid in self._running:
                if not self.blind:
                    self._tell(self._running[uid])
            elif self._show(name, ready=False):  # no process runs in a pod that shows as pending
                self._running[uid] = self._start(uid, name)
        self._leaving = [each for each in self._leaving if each.process.poll() is None]

    def _end(self, uid: str, connection: "psycopg.Connection[Any]") -> None:
        (held,) = connection.execute(_HELD, [uid]).fetchone() or (0,)
        running = self._running.pop(uid)
        self.gone.held.append(int(held) if running.started else 0)
        running.process.terminate()
        self._leaving.append(running)

    def _start(self, uid: str, name: str) -> Running:
        port = free_port()
        process = subprocess.Popen(
            [sys.executable, "-m", "tidemill_cli", "worker", self._app, *self._arguments],
            cwd=ROOT,
            env=os.environ
            | {
                "TIDEMILL_DATABASE_URL": self._url,
                "TIDEMILL_POD_UID": uid,
                "TIDEMILL_POD_NAME": name,
                "TIDEMILL_CONTAINER": "worker",
                "TIDEMILL_PROBE_PORT": str(port),
                "TIDEMILL_DATABASE_POOL_SIZE": "2",
                "TRACE": os.devnull,
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return Running(name, port, process)

    def _tell(self, running: Running) -> None:
        ready = running.asked()
        if ready != running.ready and self._show(running.name, ready=ready):
            running.ready = ready
        running.started |= ready

    def _show(self, name: str, *, ready: bool) -> bool:
        """Write the pod's condition; return whether the pod is still there."""
        condition = {"type": "Ready", "status": str(ready)}
        body = {"status": {"phase": "Running", "conditions": [condition]}}
        try:
            self._pods.patch_namespaced_pod_status(name, NAMESPACE, body)
        except client.ApiException as error:
            if error.status == 404:  # it went meanwhile
                return False
            raise
        return True
