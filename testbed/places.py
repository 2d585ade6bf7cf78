"""Where the processes of a cluster run: on the host, in its network, or on its node.

A control plane alone has neither a network nor a cgroup of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed import cgroups, network, processes
from testbed.errors import NotUpError
from testbed.processes import Place

if TYPE_CHECKING:
    from testbed.cluster import Cluster
    from testbed.paths import State


def host(cluster: Cluster) -> Place:
    """Return the place of programs that need the host's network."""
    if cluster.control_plane_only:
        return Place()
    return Place(cgroup=cgroups.system(cluster.name))


def inside(cluster: Cluster, state: State) -> Place:
    """Return the place of the control plane: the cluster's network, if it has one."""
    if cluster.control_plane_only:
        return Place()
    return Place(tuple(network.enter(state)), cgroups.system(cluster.name))


def new_node(cluster: Cluster, state: State) -> Place:
    """Return the place of containerd: also in a mount namespace that it begins."""
    unshare = ("unshare", "--mount", "--propagation=private", "--")
    return Place((*network.enter(state), *unshare), cgroups.system(cluster.name))


def node(cluster: Cluster, state: State) -> Place:
    """Return the place of the agents: containerd's namespaces."""
    return Place(tuple(enter_node(state, "--mount", "--net")), cgroups.system(cluster.name))


def enter_node(state: State, *namespaces: str) -> list[str]:
    """Return the command that runs its arguments in namespaces of containerd.

    Raises:
        NotUpError: containerd does not run.
    """
    containerd = processes.running(state, "containerd")
    if containerd is None:
        raise NotUpError(f"no containerd runs for {state.root}: is a cluster with a node up?")
    return ["nsenter", f"--target={containerd.pid}", *namespaces, "--"]
