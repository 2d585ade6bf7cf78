"""The cluster's network namespace, and the one cable and the routes that lead to it.

kube-proxy's rules, the pods' bridge and every listening port live inside the namespace. On
the host there is one interface; the routes go when it goes, so removing it and the namespace
removes everything. The host's own iptables rules are never touched.
"""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed import shell
from testbed.errors import BusyError, StepError

if TYPE_CHECKING:
    from testbed.addresses import Addresses

NAMESPACES = Path("/run/netns")
KILL_SECONDS = 20.0


def file(name: str) -> Path:
    """Return the namespace's file."""
    return NAMESPACES / name


def enter(name: str) -> list[str]:
    """Return the command that runs its arguments inside the namespace."""
    return ["nsenter", f"--net={file(name)}", "--"]


def interface(name: str) -> str:
    """Return the host's end of the cable."""
    return f"{name}-host"


def exists(name: str) -> bool:
    """Tell whether a namespace or an interface of this name is there."""
    return file(name).exists() or Path("/sys/class/net", interface(name)).exists()


def destinations() -> list[str]:
    """Return the destinations of the host's routes."""
    routes: list[dict[str, Any]] = json.loads(
        shell.run(["ip", "-json", "-4", "route", "show"], step="read routes") or "[]"
    )
    return [str(route.get("dst", "")) for route in routes]


def need_free(name: str) -> None:
    """Check that no other cluster has the name.

    Raises:
        BusyError: there is a namespace or an interface of this name.
    """
    if exists(name):
        raise BusyError(
            f"a network namespace or interface of {name!r} exists already, made from another state "
            f"folder: `python3 -m testbed down` there, or `down --name {name}` if that is gone"
        )


def create(name: str, addresses: Addresses) -> None:
    """Make the namespace, the cable and the routes.

    Raises:
        StepError: the kernel refuses one of them.
    """
    for command in _commands(name, addresses):
        shell.run(command, step="network")


def _commands(name: str, addresses: Addresses) -> list[list[str]]:
    host, node = interface(name), f"{name}-node"
    inside = ["ip", "-n", name]
    # Pods reach services of the node's own loopback addresses, and each other, by forwarding.
    forwarding = (
        "echo 1 > /proc/sys/net/ipv4/ip_forward; "
        "echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet"
    )
    commands = [
        ["ip", "netns", "add", name],
        ["ip", "link", "add", host, "type", "veth", "peer", "name", node, "netns", name],
        ["ip", "addr", "add", f"{addresses.host_ip}/30", "dev", host],
        ["ip", "link", "set", host, "up"],
        [*inside, "addr", "add", f"{addresses.node_ip}/30", "dev", node],
        [*inside, "link", "set", node, "up"],
        [*inside, "link", "set", "lo", "up"],
        [*inside, "route", "add", "default", "via", addresses.host_ip],
        [*enter(name), "sh", "-ec", forwarding],
    ]
    # Before any packet to a pod or a service: without these it would go to the outside.
    for target in (addresses.pods, addresses.services):
        commands.append(["ip", "route", "add", target, "via", addresses.node_ip])
    return commands


def kill_inside(name: str) -> None:
    """Kill every process in the namespace: shims outlive containerd and are in no pod's cgroup.

    Raises:
        StepError: processes were left after 20 s.
    """
    end = time.monotonic() + KILL_SECONDS
    while inside := _inside(name):
        if time.monotonic() > end:
            raise StepError("stop node", f"processes {inside} survive SIGKILL")
        for pid in inside:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.05)


def _inside(name: str) -> list[int]:
    if not file(name).exists():
        return []
    # A file that a killed `ip netns add` left without its mount is no namespace.
    if not os.path.ismount(file(name)):
        return []
    listed = shell.run(["ip", "netns", "pids", name], step="list the namespace's processes")
    return [int(line) for line in listed.split()]


def remove(name: str) -> None:
    """Remove the interface (and with it the routes) and the namespace, as far as they exist."""
    if Path("/sys/class/net", interface(name)).exists():
        shell.run(["ip", "link", "del", interface(name)], step="remove interface")
    if file(name).exists() and os.path.ismount(file(name)):
        shell.run(["ip", "netns", "del", name], step="remove network namespace")
    file(name).unlink(missing_ok=True)
