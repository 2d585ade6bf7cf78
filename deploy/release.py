"""Install the chart on a cluster, apply the example TaskQueue, and wait until the API answers."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from types import MappingProxyType

from deploy import shell
from deploy.cluster import Cluster
from deploy.errors import DeployError
from deploy.progress import Say

NAMESPACE = "tidemill"
RELEASE = "tidemill"
CHART = "charts/tidemill"
EXAMPLE = "examples/taskqueue.yaml"
NODE_PORT = 30080
API_PORT = 8080
API = f"http://localhost:{API_PORT}"
API_SECONDS = 60.0
WAIT = ("--wait", "--timeout", "5m")


def install(
    cluster: Cluster,
    image: str,
    *,
    namespace: str = NAMESPACE,
    values: Mapping[str, object] = MappingProxyType({}),
) -> None:
    """Install or upgrade the release, and wait until its pods are ready.

    `values` are settings of the chart by dotted name. Raises DeployError.
    """
    repository, _, tag = image.rpartition(":")
    given = {"image.repository": repository, "image.tag": tag, **cluster.values(), **values}
    flags = [
        part
        for name, value in given.items()
        for part in ("--set-json", f"{name}={json.dumps(value)}")
    ]
    access = ["--kubeconfig", str(cluster.kubeconfig), "--namespace", namespace]
    shell.show(
        [cluster.helm(), "upgrade", "--install", RELEASE, CHART, *access, *flags, *WAIT],
        step="helm upgrade --install",
        look=f"`kubectl --kubeconfig {cluster.kubeconfig} -n {namespace} get pods,events`",
    )


def make_namespace(cluster: Cluster, namespace: str = NAMESPACE) -> None:
    """Make the namespace, with the restricted Pod Security Standard enforced in it."""
    manifest = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": namespace,
            "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
        },
    }
    kubectl(cluster, "apply", "-f", "-", text=json.dumps(manifest))


def apply_example(cluster: Cluster, namespace: str = NAMESPACE) -> None:
    """Apply the example TaskQueue."""
    kubectl(cluster, "-n", namespace, "apply", "-f", EXAMPLE)


def kubectl(cluster: Cluster, *arguments: str, text: str | None = None) -> str:
    """Run kubectl on the cluster and return its output; `text` is its standard input."""
    argv = [cluster.kubectl(), "--kubeconfig", str(cluster.kubeconfig), *arguments]
    return shell.output(argv, step=f"kubectl {' '.join(arguments[:4])}", text=text)


def wait_for_api(seconds: float = API_SECONDS) -> None:
    """Wait until the API answers on this machine's port 8080.

    Raises:
        DeployError: it does not; says what it answered last.
    """
    end = time.monotonic() + seconds
    while (problem := _problem(f"{API}/readyz")) is not None:
        if time.monotonic() > end:
            raise DeployError(
                f"{API}/readyz did not answer within {seconds:.0f} s ({problem}); is port 8080 "
                "of this machine taken by another program?"
            )
        time.sleep(0.5)


def explain(cluster: Cluster) -> str:
    """Return what to try next."""
    return f"""
Tidemill runs: {API}

  export KUBECONFIG={cluster.kubeconfig}
  {cluster.kubectl()} -n {NAMESPACE} get tq --watch

  curl -s {API}/api/tasks -H 'content-type: application/json' \\
    -d '{{"type": "send_email", "payload": {{"to": "you@example.com", "subject": "Hello"}}}}'
  curl -s {API}/api/stats

  make k8s-down     # removes all of it
"""


def roll_out(cluster: Cluster, image: str, say: Say) -> None:
    """Put everything on the cluster, step by step, and print what to try next."""
    say("install the chart")
    make_namespace(cluster)
    install(
        cluster,
        image,
        values={"api.service.type": "NodePort", "api.service.nodePort": NODE_PORT},
    )
    say(f"apply {EXAMPLE}")
    apply_example(cluster)
    say(f"wait for {API}")
    cluster.publish(API_PORT, NODE_PORT)
    wait_for_api()
    say("ready")
    print(explain(cluster))


def _problem(url: str) -> str | None:
    """Return why `url` does not answer with 200, or None when it does."""
    try:
        with urllib.request.urlopen(url, timeout=5):  # noqa: S310  # a constant http address
            return None
    except urllib.error.HTTPError as error:
        return f"status {error.code}"
    except OSError as error:
        return str(getattr(error, "reason", error))
