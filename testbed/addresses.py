"""The addresses of a cluster: fixed ones by slot for a node, free ports for a control plane.

Several clusters with a node can run side by side, each in a slot of its own. Slot 0 has the
ranges that people know from other clusters.
"""

from __future__ import annotations

import random
import socket
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from testbed.errors import BusyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SLOTS = 8
LOOPBACK = "127.0.0.1"
# Below the kernel's range for outgoing connections: such a one could take a port between our
# look at it and the moment that the component binds it.
PORTS = range(12_000, 29_000)


@dataclass(frozen=True)
class Addresses:
    """Every address and port that a component listens on or is told of."""

    host_ip: str
    node_ip: str
    pods: str
    services: str
    api_port: int = 6443
    etcd_port: int = 2379
    etcd_peer_port: int = 2380
    controllers_port: int = 10257
    scheduler_port: int = 10259

    @property
    def server(self) -> str:
        """The API server's URL."""
        return f"https://{self.node_ip}:{self.api_port}"

    @property
    def pod_subnet(self) -> str:
        """The one node's own part of the pod range."""
        return str(next(IPv4Network(self.pods).subnets(new_prefix=24)))

    @property
    def kubernetes_ip(self) -> str:
        """The service address of the API server: the first of the range."""
        return str(IPv4Network(self.services)[1])


def of_slot(slot: int) -> Addresses:
    """Return the addresses of a cluster with a node; the slot is 0 to 7."""
    return Addresses(
        host_ip=f"10.199.{slot}.1",
        node_ip=f"10.199.{slot}.2",
        pods=f"10.{244 - slot}.0.0/16",
        services=f"10.{96 + slot}.0.0/16",
    )


def free_slot(destinations: Iterable[str]) -> int:
    """Return the first slot of which no range is among the machine's routes.

    Args:
        destinations: the routes' destinations, as `ip route` prints them.

    Raises:
        BusyError: every slot overlaps a route.
    """
    taken = [IPv4Network(text, strict=False) for text in destinations if text[:1].isdigit()]
    for slot in range(SLOTS):
        own = of_slot(slot)
        ranges = [IPv4Network(text) for text in (f"10.199.{slot}.0/30", own.pods, own.services)]
        if not any(mine.overlaps(other) for mine in ranges for other in taken):
            return slot
    raise BusyError("the machine's routes leave no room for the cluster's addresses (ip route)")


def on_loopback(is_free: Callable[[int], bool] | None = None) -> Addresses:
    """Return the addresses of a control plane alone: free ports of 127.0.0.1."""
    ports = iter(_free_ports(5, is_free or _is_free))
    return Addresses(
        host_ip=LOOPBACK,
        node_ip=LOOPBACK,
        pods="10.244.0.0/16",
        services="10.96.0.0/16",
        api_port=next(ports),
        etcd_port=next(ports),
        etcd_peer_port=next(ports),
        controllers_port=next(ports),
        scheduler_port=next(ports),
    )


def _free_ports(count: int, is_free: Callable[[int], bool]) -> list[int]:
    found = [port for port in random.sample(PORTS, 50 * count) if is_free(port)][:count]
    if len(found) < count:
        raise BusyError(f"no {count} free ports between {PORTS.start} and {PORTS.stop}")
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as candidate:
        try:
            candidate.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
