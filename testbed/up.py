"""Bring a cluster up: the steps in their order, and what to do when one fails."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from testbed import (
    addresses,
    background,
    binaries,
    cgroups,
    control_plane,
    health,
    locking,
    network,
    node,
    objects,
    pki,
    prerequisites,
    processes,
    shell,
    teardown,
    volumes,
)
from testbed import cluster as clusters
from testbed.cluster import Cluster
from testbed.errors import BusyError, PrerequisiteError
from testbed.images import pause

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.paths import Cache, State
    from testbed.progress import Say

DNS_SECONDS = 30.0


@dataclass(frozen=True)
class Request:
    """What the user asks for; None where any value will do, if a cluster is up already."""

    control_plane_only: bool
    name: str | None = None
    hpa_sync_seconds: int | None = None

    def cluster(self, given: addresses.Addresses) -> Cluster:
        """Return the settings of a new cluster."""
        return Cluster(
            name=self.name or clusters.DEFAULT_NAME,
            control_plane_only=self.control_plane_only,
            addresses=given,
            hpa_sync_seconds=self.hpa_sync_seconds or 15,
        )

    def like(self, earlier: Cluster) -> Request:
        """Return the request with what it leaves open as it was in an earlier cluster."""
        return replace(
            self,
            name=self.name or earlier.name,
            hpa_sync_seconds=self.hpa_sync_seconds or earlier.hpa_sync_seconds,
        )

    def fits(self, cluster: Cluster) -> bool:
        """Tell whether a cluster is what is asked for."""
        return (
            self.control_plane_only == cluster.control_plane_only
            and self.name in (None, cluster.name)
            and self.hpa_sync_seconds in (None, cluster.hpa_sync_seconds)
        )


def up(request: Request, state: State, cache: Cache, say: Say) -> Cluster:
    """Return when the cluster is whole: at once if it already is.

    Raises:
        PrerequisiteError: the machine lacks something.
        BusyError: the folder holds a running cluster with other settings.
        StepError: a step failed; then everything was removed again, but the logs.
    """
    request.cluster(addresses.of_slot(0))  # refuses a bad name before any work
    if not request.control_plane_only:
        node.refuse_hidden(state.root, cache.root)
    prerequisites.ensure(cache, state, say, control_plane_only=request.control_plane_only)
    programs = _programs(request, cache, say)
    with locking.exclusive(state, say):
        existing = health.look(state)
        if existing is not None and existing.whole:
            if not request.fits(existing.cluster):
                raise BusyError(
                    f"{state.root} holds a running cluster with other settings: `down` first"
                )
            say(f"cluster {existing.cluster.name} is already up")
            return existing.cluster
        if existing is not None:
            say(f"clear what is left of a cluster: {'; '.join(existing.problems())}")
            teardown.clear(existing.cluster, state, say)
            request = request.like(existing.cluster)
        return _start(request, state, programs, say)


@dataclass(frozen=True)
class _Programs:
    """Paths in the cache; those of the node are None for a control plane alone."""

    kube: Path
    coredns: Path | None = None
    pause_image: Path | None = None
    cni: Path | None = None


def _programs(request: Request, cache: Cache, say: Say) -> _Programs:
    kube = binaries.ensure(binaries.KUBE, cache, say)
    if request.control_plane_only:
        return _Programs(kube)
    coredns = binaries.ensure(binaries.COREDNS, cache, say)
    return _Programs(kube, coredns, pause.ensure(cache, say), prerequisites.cni_folder())


def _start(request: Request, state: State, programs: _Programs, say: Say) -> Cluster:
    """Start everything, or remove again what was started."""
    shutil.rmtree(state.logs, ignore_errors=True)
    if request.control_plane_only:
        cluster = request.cluster(addresses.on_loopback())
    else:
        cluster = request.cluster(addresses.of_slot(addresses.free_slot(network.destinations())))
        _need_free(cluster.name)
    clusters.save(cluster, state)
    try:
        state.data.mkdir(parents=True, exist_ok=True)
        pki.create(cluster, state.pki)
        say("certificates made")
        if cluster.control_plane_only:
            _control_plane(cluster, state, programs, say)
        else:
            _node(cluster, state, programs, say)
    except BaseException:
        say("that failed: removing what was started (the logs stay)")
        teardown.clear(cluster, state, say)
        raise
    return cluster


def _need_free(name: str) -> None:
    """Refuse the name of a cluster that another state folder has up, or had."""
    if network.exists(name) or cgroups.folders(name):
        raise BusyError(
            f"a cluster {name!r} exists that was made with another state folder: choose another "
            f"--name, or run `down` with that --state (`down --name {name}` if the folder is gone)"
        )


def _control_plane(cluster: Cluster, state: State, programs: _Programs, say: Say) -> None:
    control_plane.start(cluster, state, programs.kube)
    say("API server ready")
    control_plane.wait_for_default_account(cluster, state)


def _node(cluster: Cluster, state: State, programs: _Programs, say: Say) -> None:
    if programs.coredns is None or programs.pause_image is None or programs.cni is None:
        raise PrerequisiteError("the CNI plugins are missing (containernetworking-plugins)")
    cgroups.create(cluster.name)
    network.create(cluster, state)
    node.write_config(cluster, state, programs.cni)
    node.start_containerd(cluster, state)
    node.import_image(programs.pause_image, state)
    say("containerd ready")
    control_plane.start(cluster, state, programs.kube)
    say("API server ready")
    node.start_agents(cluster, state, programs.kube)
    _create_objects(cluster, state, programs.kube)
    node.start_dns(cluster, state, programs.coredns)
    background.start_volumes(cluster, state)
    control_plane.wait_for_default_account(cluster, state)
    node.wait_ready(cluster, state)
    say("node Ready")
    processes.wait_until(
        lambda: health.dns_ready(cluster),
        step="DNS",
        seconds=DNS_SECONDS,
        state=state,
        names=["dns"],
    )
    say("DNS ready")


def _create_objects(cluster: Cluster, state: State, kube: Path) -> None:
    items = [*objects.dns_rights(), objects.storage_class(), *volumes.prepare(cluster, state)]
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    command = [str(kube), "kubectl", "--kubeconfig", str(state.kubeconfig), "create", "-f", "-"]
    shell.run(command, step="storage class, volumes and rights", text=listed)
