"""A namespace of a cluster, through pytest-kind's kubectl."""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pytest_kind import KindCluster

from tests.support.waiting import until

FORWARD_SECONDS = 20


@dataclass(frozen=True)
class Kube:
    """kubectl in one namespace."""

    cluster: KindCluster
    namespace: str

    def run(self, *arguments: str, text: str | None = None) -> str:
        """Return what kubectl prints; `text` is its standard input. Fails with what it said."""
        done = subprocess.run(
            [*self._kubectl(), *arguments], check=False, capture_output=True, text=True, input=text
        )
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def get(self, *arguments: str) -> Any:
        """Return an object, or a list's items."""
        found = json.loads(self.run("get", *arguments, "--output=json"))
        return found["items"] if found["kind"] == "List" else found

    def apply(self, manifest: dict[str, Any]) -> None:
        """Apply an object."""
        self.run("apply", "-f", "-", text=json.dumps(manifest))

    def delete(self, kind: str, name: str) -> None:
        """Delete an object and wait until it is gone."""
        self.run("delete", kind, name, "--ignore-not-found", "--timeout=120s")

    def pods(self, selector: str) -> list[dict[str, Any]]:
        """Return the pods that a selector matches and that are not on their way out."""
        found = self.get("pods", "--selector", selector)
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    @contextlib.contextmanager
    def forward(self, target: str, port: int) -> Iterator[str]:
        """Yield the local address that leads to a port of `target`."""
        command = [*self._kubectl(), "port-forward", target, f":{port}"]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, bufsize=1)
        assert child.stdout is not None
        try:
            line = child.stdout.readline()  # Forwarding from 127.0.0.1:PORT -> …
            assert line.startswith("Forwarding from 127.0.0.1:"), f"port-forward said {line!r}"
            yield f"http://127.0.0.1:{line.split(':')[1].split()[0]}"
        finally:
            child.terminate()
            child.wait(timeout=FORWARD_SECONDS)
            child.stdout.close()

    def _kubectl(self) -> list[str]:
        access = ["--kubeconfig", str(self.cluster.kubeconfig_path), "--namespace", self.namespace]
        return [os.fspath(self.cluster.kubectl_path), *access]


def container_id(pod: dict[str, Any]) -> str:
    """Return the id of a pod's first container, without the runtime's name."""
    statuses = pod["status"]["containerStatuses"]
    return str(statuses[0]["containerID"]).rpartition("/")[2]


def wait_gone(kube: Kube, selector: str, seconds: float) -> None:
    """Wait until no pod matches, also none that is on its way out."""
    until(
        lambda: not kube.get("pods", "--selector", selector),
        seconds=seconds,
        what=f"no pod of {selector}",
    )
