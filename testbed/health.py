"""Whether a cluster is whole: its processes, the API server, the node and DNS."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from typing import TYPE_CHECKING

from testbed import cluster as clusters
from testbed import node_config, processes
from testbed.api import Api

if TYPE_CHECKING:
    from testbed.cluster import Cluster
    from testbed.paths import State

TIMEOUT_SECONDS = 2.0


@dataclass(frozen=True)
class Health:
    """What was seen; `processes` maps the expected and further ones to their id, if any runs."""

    cluster: Cluster
    processes: dict[str, int | None]
    api: bool
    node: bool
    dns: bool

    @property
    def whole(self) -> bool:
        """Nothing that should be there is missing."""
        running = all(self.processes[name] for name in self.cluster.expected_processes())
        node = self.cluster.control_plane_only or (self.node and self.dns)
        return running and self.api and node

    def problems(self) -> list[str]:
        """Return what is wrong, in words."""
        found = [f"{n} does not run" for n, pid in self.processes.items() if pid is None]
        if not self.api:
            found.append("the API server does not answer")
        if not self.cluster.control_plane_only:
            found += [] if self.node else ["the node is not Ready"]
            found += [] if self.dns else ["DNS is not ready"]
        return found


def look(state: State) -> Health | None:
    """Look at the cluster of a state folder; None when there is none."""
    cluster = clusters.load(state)
    if cluster is None:
        return None
    names = dict.fromkeys([*cluster.expected_processes(), *processes.recorded(state)])
    found = {name: processes.running(state, name) for name in names}
    try:
        api = Api.of(cluster, state)
    except OSError:  # a certificate is missing: an `up` that was cut off early
        api = None
    up = api is not None and api.answers("/readyz")
    node = api is not None and up and not cluster.control_plane_only
    return Health(
        cluster=cluster,
        processes={name: found_one.pid if found_one else None for name, found_one in found.items()},
        api=up,
        node=node and api is not None and api.node_ready(cluster.name),
        dns=not cluster.control_plane_only and dns_ready(cluster),
    )


def dns_ready(cluster: Cluster) -> bool:
    """Ask CoreDNS itself; it is ready when it has read all services."""
    ip, port = cluster.addresses.node_ip, node_config.DNS_READY_PORT
    connection = http.client.HTTPConnection(ip, port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/ready")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
