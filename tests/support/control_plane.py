"""A real API server without nodes, and the operator as a process against it.

Pods are made but never start: a test plays the kubelet where it needs ready pods. The operator logs
in as a service account with exactly the rights that it documents.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.support.waiting import until
from tidemill_cli.local.postgres import free_port

Manifest = dict[str, Any]

ROOT = Path(__file__).parents[2]
CRD = ROOT / "crds" / "taskqueues.tidemill.dev.yaml"
NAMESPACE = "default"

# What tidemill_operator's docstring lists: (group, resources, verbs).
RULES = (
    ("tidemill.dev", ["taskqueues"], ["get", "list", "watch"]),
    ("tidemill.dev", ["taskqueues/status"], ["get", "update", "patch"]),
    ("apps", ["deployments"], ["get", "list", "watch", "create", "patch"]),
    ("apps", ["deployments/scale"], ["get", "update", "patch"]),
    ("apps", ["replicasets"], ["get", "list", "watch"]),
    ("", ["pods"], ["get", "list", "watch", "patch"]),
    ("", ["secrets"], ["get"]),
    ("", ["events"], ["create", "patch"]),
)
# In its own namespace only.
LEASES = ("coordination.k8s.io", ["leases"], ["get", "create", "update"])


@dataclass(frozen=True)
class ControlPlane:
    """kubectl against an API server; `kubeconfig` is an administrator's."""

    kubeconfig: Path
    namespace: str = NAMESPACE
    kubectl: str = "kubectl"

    def run(self, *arguments: str, text: str | None = None, check: bool = True) -> str:
        """Return what kubectl prints; fails with what it said, unless `check` is off."""
        command = [
            self.kubectl,
            "--kubeconfig",
            str(self.kubeconfig),
            "-n",
            self.namespace,
            *arguments,
        ]
        done = subprocess.run(command, check=False, capture_output=True, text=True, input=text)
        assert done.returncode == 0 or not check, f"kubectl {arguments}: {done.stderr}"
        return done.stdout + ("" if done.returncode == 0 else done.stderr)

    def get(self, *arguments: str) -> Any:
        """Return an object, or a list's items."""
        found = json.loads(self.run("get", *arguments, "-o", "json"))
        return found["items"] if found["kind"].endswith("List") else found

    def exists(self, kind: str, name: str) -> bool:
        """Return whether the object is there."""
        return bool(self.run("get", kind, name, "--ignore-not-found", "-o", "name"))

    def apply(self, manifest: Manifest) -> None:
        """Apply an object."""
        self.run("apply", "-f", "-", text=json.dumps(manifest))

    def patch(self, kind: str, name: str, patch: Manifest, *options: str) -> None:
        """Merge `patch` into an object."""
        self.run("patch", kind, name, "--type=merge", "-p", json.dumps(patch), *options)

    def refusal(self, spec: Manifest, *, name: str = "refused") -> str:
        """Return why the API server refuses a TaskQueue with this spec; '' when it accepts it."""
        text = json.dumps(task_queue(name, spec))
        said = self.run("apply", "--dry-run=server", "-f", "-", text=text, check=False)
        return said if "is invalid" in said else ""

    def replicas(self, deployment: str) -> int:
        """Return the wanted replicas of a Deployment; -1 when it is not there."""
        if not self.exists("deployment", deployment):
            return -1
        return int(self.get("deployment", deployment)["spec"]["replicas"])

    def status(self, name: str) -> dict[str, Any]:
        """Return the status of a TaskQueue; {} before it has one."""
        return dict(self.get("taskqueue", name).get("status") or {})

    def condition(self, name: str, kind: str) -> dict[str, Any]:
        """Return a condition of a TaskQueue; {} before it has it."""
        found = [c for c in self.status(name).get("conditions", []) if c["type"] == kind]
        return dict(found[0]) if found else {}


@contextlib.contextmanager
def control_plane(state: Path, *, defined: bool = True) -> Iterator[ControlPlane]:
    """Yield a control plane of its own, with the CRD in it, and take it down afterwards."""
    testbed = ["python3", "-m", "testbed"]
    up = [*testbed, "up", "--control-plane-only", "--hpa-sync-seconds=2", "--state", str(state)]
    done = subprocess.run(up, check=False, cwd=ROOT, capture_output=True, text=True)
    try:
        assert done.returncode == 0, f"no control plane: {done.stdout}{done.stderr}"
        which = [*testbed, "which", "kubectl"]
        program = subprocess.run(which, check=True, cwd=ROOT, capture_output=True, text=True)
        found = ControlPlane(state / "kubeconfig", kubectl=program.stdout.strip())
        if defined:
            define(found)
        yield found
    finally:
        subprocess.run([*testbed, "--state", str(state), "down"], check=True, cwd=ROOT)


def missing() -> str | None:
    """Return why no control plane can be had here, or None."""
    if sys.platform != "linux":
        return "the control plane runs on Linux only"
    if absent := [each for each in ("go", "openssl") if shutil.which(each) is None]:
        return f"the control plane needs {', '.join(absent)} on the PATH"
    return None


def define(plane: ControlPlane) -> None:
    """Bring the CRD and wait until it is served."""
    plane.run("apply", "-f", str(CRD))
    # Not by `kubectl wait`: it fails on a CRD that has no conditions yet.
    until(lambda: _is_served(plane), seconds=120, what="the CRD is served")


def _is_served(plane: ControlPlane) -> bool:
    conditions = plane.get("crd", CRD.stem).get("status", {}).get("conditions") or []
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)


def task_queue(name: str, spec: Manifest) -> Manifest:
    """Return a TaskQueue."""
    return {
        "apiVersion": "tidemill.dev/v1alpha1",
        "kind": "TaskQueue",
        "metadata": {"name": name},
        "spec": spec,
    }


def plain_deployment(name: str, replicas: int) -> Manifest:
    """Return a Deployment of a user's own."""
    labels = {"app": name}
    pod = {"containers": [{"name": "main", "image": "localhost/none:1"}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def operator_account(plane: ControlPlane, folder: Path) -> Path:
    """Return the kubeconfig of a service account with the operator's rights and no more."""
    name = "tidemill-operator"
    plane.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}})
    _allow(plane, "Cluster", name, RULES)
    allow_leases(plane, NAMESPACE)
    token = plane.run("create", "token", name, "--duration=10h").strip()
    config = json.loads(plane.run("config", "view", "--raw", "--flatten", "-o", "json"))
    for user in config["users"]:
        user["user"] = {"token": token}
    path = folder / "operator-kubeconfig"
    path.write_text(json.dumps(config))
    return path


def allow_leases(plane: ControlPlane, namespace: str) -> None:
    """Let the operator's account use Leases in `namespace`."""
    _allow(replace(plane, namespace=namespace), "", "tidemill-operator", [LEASES])


def _allow(
    plane: ControlPlane, scope: str, account: str, rules: Iterable[tuple[str, list[str], list[str]]]
) -> None:
    """Bind an account to a Role of its name, or a ClusterRole (`scope` Cluster)."""
    group = "rbac.authorization.k8s.io"
    meta = {"apiVersion": f"{group}/v1", "metadata": {"name": account}}
    listed = [{"apiGroups": [g], "resources": r, "verbs": v} for g, r, v in rules]
    plane.apply({**meta, "kind": f"{scope}Role", "rules": listed})
    plane.apply(
        {
            **meta,
            "kind": f"{scope}RoleBinding",
            "roleRef": {"apiGroup": group, "kind": f"{scope}Role", "name": account},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}],
        }
    )


class Operator:
    """`tidemill operator` as a process of its own."""

    def __init__(self, kubeconfig: Path, database_url: str, log: Path, **settings: str) -> None:
        self.port = free_port()
        self._log = log
        self._environment: Mapping[str, str] = {
            "PATH": os.environ["PATH"],
            "KUBECONFIG": str(kubeconfig),
            "TIDEMILL_DATABASE_URL": database_url,
            "TIDEMILL_DATABASE_CONNECT_SECONDS": "2",
            "TIDEMILL_OPERATOR_PROBE_PORT": str(self.port),
            "TIDEMILL_OPERATOR_TICK_SECONDS": "0.5",
            # One of its own: nobody else's operator is waited for.
            "TIDEMILL_OPERATOR_LEASE": f"operator-{self.port}",
            "TIDEMILL_OPERATOR_NAMESPACES": NAMESPACE,
            "TIDEMILL_WORKER_IMAGE": "localhost/tidemill:test",
            "TIDEMILL_APP": "examples.demo:app",
            **settings,
        }
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until its probe answers."""
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "tidemill_cli", "operator"],
                env=self._environment,
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
        until(lambda: self.probe("/healthz"), seconds=60, what=f"probe answers: {self.said()}")

    def stop(self) -> int:
        """End it as Kubernetes would; return its exit code."""
        child, self._child = self._child, None
        assert child is not None
        child.terminate()
        return child.wait(timeout=60)

    def signal(self, which: signal.Signals) -> None:
        """Send it a signal."""
        assert self._child is not None
        self._child.send_signal(which)

    def kill(self) -> None:
        """End it with nothing said."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait(timeout=60)

    def probe(self, path: str) -> str:
        """Return what a probe answers; '' when it does not or is unhealthy."""
        assert self._child is None or self._child.poll() is None, self.said()
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}{path}", timeout=30
            ) as answer:
                return str(answer.read().decode())
        except (urllib.error.URLError, OSError):
            return ""

    def said(self) -> str:
        """Return its log."""
        return self._log.read_text() if self._log.exists() else ""
