"""The node: containerd, the kubelet and kube-proxy, together in one mount namespace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from testbed import kubeconfig, node_config, places, processes, shell
from testbed.api import Api
from testbed.errors import UsageError

if TYPE_CHECKING:
    from testbed.cluster import Cluster
    from testbed.paths import State

READY_SECONDS = 60.0
IMPORT_STEP = "import image"
# containerd, its shims, the CNI plugins and the kubelet write below these whatever their
# settings say. The node has folders of ours in their stead, so the host's are never touched.
HIDDEN_FOLDERS = (Path("/run"), Path("/var/lib"), Path("/var/log"))
# $1 $2, $3 $4, …: what to mount where; then `--` and the program. Mounts spread between this
# namespace's own copies (volumes must reach containers) and never to the host's.
MOUNT_THEN_RUN = (
    "mount -n --make-rshared / && "
    'while [ "$1" != -- ]; do mount -n --bind "$1" "$2" || exit; shift 2; done; shift; exec "$@"'
)


def refuse_hidden(*folders: Path) -> None:
    """Check that the node can see the folders that it works with.

    Raises:
        UsageError: one is below a folder that the node has another one for.
    """
    for folder in folders:
        for hidden in HIDDEN_FOLDERS:
            if folder.resolve().is_relative_to(hidden):
                raise UsageError(
                    f"{folder} is below {hidden}, which the node does not share with the host: "
                    "choose another place with --state or XDG_CACHE_HOME"
                )


def write_config(cluster: Cluster, state: State, cni: Path) -> None:
    """Write all configuration files of the node."""
    (state.config / "cni").mkdir(parents=True, exist_ok=True)
    for name in ("kubelet", "proxy", "dns"):
        kubeconfig.write(cluster, state.pki, name, state.config / f"{name}.kubeconfig")
    texts = {
        "containerd.toml": node_config.containerd(state, cni),
        "cni/10-pods.conflist": _json(node_config.cni_network(cluster, state)),
        "kubelet.json": _json(node_config.kubelet(cluster, state)),
        "proxy.json": _json(node_config.proxy(cluster, state)),
        "Corefile": node_config.corefile(cluster, state),
        "resolv.conf": f"nameserver {cluster.addresses.node_ip}\n",
    }
    for name, text in texts.items():
        (state.config / name).write_text(text)


def _json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"


def start_containerd(cluster: Cluster, state: State) -> None:
    """Start containerd in a new mount namespace, with folders of ours over the hidden ones."""
    mounts: list[str] = []
    for folder in HIDDEN_FOLDERS:
        own = state.data / "host" / folder.relative_to("/")
        own.mkdir(parents=True, exist_ok=True)
        mounts += [str(own), str(folder)]
    program = ["containerd", f"--config={state.config / 'containerd.toml'}"]
    processes.spawn(
        state,
        "containerd",
        ["sh", "-c", MOUNT_THEN_RUN, "sh", *mounts, "--", *program],
        places.new_node(cluster, state),
    )
    processes.wait_until(
        lambda: shell.succeeds(ctr(state, "version")),
        step="containerd",
        seconds=READY_SECONDS,
        state=state,
        names=["containerd"],
    )


def start_agents(cluster: Cluster, state: State, kube: Path) -> None:
    """Start the kubelet and kube-proxy beside containerd."""
    config = state.config
    programs = {
        "kubelet": [
            "kubelet",
            f"--config={config / 'kubelet.json'}",
            f"--kubeconfig={config / 'kubelet.kubeconfig'}",
            f"--hostname-override={cluster.name}",
            f"--node-ip={cluster.addresses.node_ip}",
            f"--root-dir={state.data / 'kubelet'}",
            f"--cert-dir={state.data / 'kubelet-pki'}",
        ],
        "proxy": ["kube-proxy", f"--config={config / 'proxy.json'}"],
    }
    for name, arguments in programs.items():
        processes.spawn(state, name, [str(kube), *arguments], places.node(cluster, state))


def wait_ready(cluster: Cluster, state: State) -> None:
    """Wait until the API server says that the node is Ready."""
    api = Api.of(cluster, state)
    processes.wait_until(
        lambda: api.node_ready(cluster.name),
        step="node",
        seconds=READY_SECONDS,
        state=state,
        names=["containerd", "proxy", "kubelet"],
    )


def start_dns(cluster: Cluster, state: State, coredns: Path) -> None:
    """Start CoreDNS on the node's address."""
    argv = [str(coredns), "-conf", str(state.config / "Corefile")]
    processes.spawn(state, "dns", argv, places.inside(cluster, state))


def ctr(state: State, *arguments: str) -> list[str]:
    """Return the command line of containerd's client on the images and containers of pods."""
    client = ["ctr", "--address", str(state.containerd_socket), "--namespace", "k8s.io"]
    return [*places.enter_node(state, "--mount"), *client, *arguments]


def import_image(archive: Path, state: State) -> list[str]:
    """Import an image archive (docker-archive or OCI) and return the images' names.

    Raises:
        StepError: it is no image archive, or containerd refused it.
    """
    output = shell.run(ctr(state, "images", "import", str(archive)), step=IMPORT_STEP)
    return [line.split()[1] for line in output.splitlines() if line.startswith("unpacking ")]


def image_names(state: State) -> set[str]:
    """Return the names of the images that pods can use."""
    return set(shell.run(ctr(state, "images", "list", "-q"), step="list images").split())
