"""Remove a cluster, whole or in pieces, so that nothing of it is left.

Every step asks what is there and removes that, so it may run twice, and after any death of
`up` or of a component. Everything is killed outright: all data of the cluster goes as well,
and a graceful end of a dozen programs would take longer for nothing.

The order matters only here: first what starts other processes (the kubelet and containerd),
then the rest by record, then whatever else is in the cluster's cgroup or network (pods, shims);
the cgroup and the namespace when they are empty; the record of the cluster last, for without
it nobody knows that there was one.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from testbed import cgroups, mounts, network, processes
from testbed import cluster as clusters
from testbed.errors import StepError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from testbed.cluster import Cluster
    from testbed.paths import State
    from testbed.progress import Say

STARTERS = ("kubelet", "containerd")


def down(state: State, name: str | None, say: Say) -> None:
    """Remove the state folder's cluster, or without one what is left of a cluster `name`.

    Raises:
        StepError: something could not be removed.
    """
    cluster = clusters.load(state)
    if cluster is not None:
        clear(cluster, state, say)
    elif name is not None:
        clear_node(name, state)
        clear_files(state)
    else:
        clear_files(state)
        say(f"no cluster in {state.root}: nothing to do")
        return
    say("down: nothing is left running")


def clear(cluster: Cluster, state: State, say: Say) -> None:
    """Remove everything of a cluster but its logs."""
    for names in order(processes.recorded(state)):
        processes.stop(state, names)
    # A control plane alone may have the name of a cluster with a node: not its to remove.
    if not cluster.control_plane_only:
        clear_node(cluster.name, state)
    say("processes stopped")
    clear_files(state)


def clear_node(name: str, state: State) -> None:
    """Remove what only a cluster with a node has: pods, shims, cgroups and the network."""
    cgroups.kill(name)
    network.kill_inside(state)
    cgroups.remove(name)
    network.remove(name, state)


def order(names: Iterable[str]) -> list[list[str]]:
    """Return the recorded processes in the groups in which to stop them."""
    return [list(STARTERS), sorted(set(names).difference(STARTERS))]


def clear_files(state: State) -> None:
    """Remove what a cluster wrote into the state folder; the record goes last."""
    mounted = mounts.below(state.root)
    if mounted:
        raise StepError("remove files", f"{mounted[0]} is still mounted: unmount it first")
    for folder in (state.data, state.pki, state.config, state.processes):
        if folder.exists():
            shutil.rmtree(folder)
    for file in (state.kubeconfig, state.record.with_suffix(".new"), state.record):
        file.unlink(missing_ok=True)
