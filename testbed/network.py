"""The cluster's network namespace, and the one cable and the routes that lead to it.

kube-proxy's rules, the pods' bridge and every listening port live inside the namespace. On
the host there is one interface; the routes go when it goes, so removing it and the namespace
removes everything. The host's own iptables rules are never touched.

The namespace is kept by a file in the state folder on which it is mounted, not by
`ip netns`, which would leave a mount of its own on the machine.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed import mounts, shell
from testbed.killing import kill_all

if TYPE_CHECKING:
    from testbed.cluster import Cluster
    from testbed.paths import State

INTERFACES = Path("/sys/class/net")


def enter(state: State) -> list[str]:
    """Return the command that runs its arguments inside the namespace."""
    return ["nsenter", f"--net={state.namespace}", "--"]


def interface(name: str) -> str:
    """Return the host's end of the cable."""
    return f"{name}-host"


def exists(name: str) -> bool:
    """Tell whether there is an interface of this cluster name."""
    return (INTERFACES / interface(name)).exists()


def destinations() -> list[str]:
    """Return the destinations of the host's routes."""
    routes: list[dict[str, Any]] = json.loads(
        shell.run(["ip", "-json", "-4", "route", "show"], step="read routes") or "[]"
    )
    return [str(route.get("dst", "")) for route in routes]


def create(cluster: Cluster, state: State) -> None:
    """Make the namespace, the cable and the routes.

    Raises:
        StepError: the kernel refuses one of them.
    """
    state.namespace.touch()
    for command in _commands(cluster, state):
        shell.run(command, step="network")


def _commands(cluster: Cluster, state: State) -> list[list[str]]:
    addresses = cluster.addresses
    host, node = interface(cluster.name), f"{cluster.name}-node"
    namespace = str(state.namespace)
    inside = [*enter(state), "ip"]
    # Pods reach each other and services by forwarding, also from the node's own loopback.
    forwarding = (
        "echo 1 > /proc/sys/net/ipv4/ip_forward; "
        "echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet"
    )
    commands = [
        ["unshare", f"--net={namespace}", "true"],
        ["ip", "link", "add", host, "type", "veth", "peer", "name", node, "netns", namespace],
        ["ip", "addr", "add", f"{addresses.host_ip}/30", "dev", host],
        ["ip", "link", "set", host, "up"],
        [*inside, "addr", "add", f"{addresses.node_ip}/30", "dev", node],
        [*inside, "link", "set", node, "up"],
        [*inside, "link", "set", "lo", "up"],
        [*inside, "route", "add", "default", "via", addresses.host_ip],
        [*enter(state), "sh", "-ec", forwarding],
    ]
    # Before any packet to a pod or a service: without these it would go to the outside.
    targets = (addresses.pods, addresses.services)
    return commands + [["ip", "route", "add", t, "via", addresses.node_ip] for t in targets]


def kill_inside(state: State) -> None:
    """Kill every process in the namespace; only the cluster's can be there.

    Raises:
        StepError: processes were left after 90 s.
    """
    kill_all(lambda: _inside(state), "stop node")


def _inside(state: State) -> list[int]:
    # Without its mount the file is no namespace but a plain file, and nobody is inside.
    if state.namespace not in mounts.points():
        return []
    wanted = state.namespace.stat()
    return [pid for pid in _pids() if _namespace(pid) == (wanted.st_dev, wanted.st_ino)]


def _pids() -> list[int]:
    return [int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit()]


def _namespace(pid: int) -> tuple[int, int] | None:
    try:
        found = Path(f"/proc/{pid}/ns/net").stat()
    except OSError:  # it has ended
        return None
    return found.st_dev, found.st_ino


def remove(name: str, state: State) -> None:
    """Remove the interface (and with it the routes) and the namespace, as far as they exist."""
    if exists(name):
        shell.run(["ip", "link", "del", interface(name)], step="remove interface")
    while state.namespace in mounts.points():
        shell.run(["umount", "-n", str(state.namespace)], step="remove network namespace")
    state.namespace.unlink(missing_ok=True)
