"""The node: containerd, the kubelet and kube-proxy, together in one mount namespace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from testbed import kubeconfig, leftovers, network, node_config, processes, shell
from testbed.api import Api
from testbed.errors import NotUpError

if TYPE_CHECKING:
    from testbed.cluster import Cluster
    from testbed.paths import State

READY_SECONDS = 60.0
IMPORT_STEP = "import image"
# containerd, its shims, the CNI plugins and the kubelet write here whatever their settings say.
FIXED_FOLDERS = tuple(
    map(
        Path,
        (
            "/run/containerd",
            "/run/netns",
            "/var/lib/cni",
            "/var/lib/kubelet",
            "/var/log/containers",
        ),
    )
)
# $1 $2, $3 $4, …: what to mount where; then `--` and the program. Mounts spread between this
# namespace's own copies (volumes must reach containers) and never to the host's.
MOUNT_THEN_RUN = (
    "mount --make-rshared / && "
    'while [ "$1" != -- ]; do mount --bind "$1" "$2" || exit; shift 2; done; shift; exec "$@"'
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
    """Start containerd in a new mount namespace, with folders of ours over the fixed ones."""
    leftovers.make_folders(FIXED_FOLDERS, state)
    mounts: list[str] = []
    for folder in FIXED_FOLDERS:
        own = state.data / "host" / folder.relative_to("/")
        own.mkdir(parents=True, exist_ok=True)
        mounts += [str(own), str(folder)]
    program = ["containerd", f"--config={state.config / 'containerd.toml'}"]
    processes.spawn(
        state,
        "containerd",
        ["sh", "-c", MOUNT_THEN_RUN, "sh", *mounts, "--", *program],
        enter=[*network.enter(cluster.name), "unshare", "--mount", "--propagation=private", "--"],
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
        processes.spawn(state, name, [str(kube), *arguments], enter=_enter(state, network=True))


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
    processes.spawn(state, "dns", argv, enter=network.enter(cluster.name))


def _enter(state: State, *, network: bool) -> list[str]:
    """Return the command that runs its arguments in containerd's namespaces.

    Raises:
        NotUpError: containerd does not run.
    """
    containerd = processes.running(state, "containerd")
    if containerd is None:
        raise NotUpError(f"no containerd runs for {state.root}: is a cluster with a node up?")
    kinds = ["--mount", "--net"] if network else ["--mount"]
    return ["nsenter", f"--target={containerd.pid}", *kinds, "--"]


def ctr(state: State, *arguments: str) -> list[str]:
    """Return the command line of containerd's client on the images and containers of pods."""
    client = ["ctr", "--address", str(state.containerd_socket), "--namespace", "k8s.io"]
    return [*_enter(state, network=False), *client, *arguments]


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
