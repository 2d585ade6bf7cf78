"""What the commands need of a cluster, whichever it is, and which one this machine gets."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from deploy import shell
from deploy.bed import Bed
from deploy.errors import DeployError
from deploy.kind import Kind
from deploy.progress import Say

CHOICES = ("kind", "testbed")


class Cluster(Protocol):
    """A one-node cluster on this machine."""

    @property
    def name(self) -> str:
        """What it is called, also by pytest-kind."""
        ...

    @property
    def kubeconfig(self) -> Path:
        """Access to it as an administrator; exists while the cluster is up."""
        ...

    @property
    def kind_program(self) -> str:
        """A `kind` for pytest-kind: the real one, or what stands in for it."""
        ...

    def check(self) -> None:
        """Raise DeployError unless what it needs is on this machine."""
        ...

    def is_up(self) -> bool:
        """Tell whether it runs."""
        ...

    def up(self, say: Say) -> None:
        """Start it unless it runs."""
        ...

    def down(self, say: Say) -> None:
        """Remove it with all that is in it; nothing happens when there is none."""
        ...

    def bring_images(self, image: str, say: Say) -> None:
        """Build `image` from the Dockerfile and bring all that the chart needs into the cluster."""
        ...

    def build_only(self, say: Say) -> None:
        """Build the image for other uses than this cluster."""
        ...

    def publish(self, port: int, node_port: int) -> None:
        """Make a NodePort answer on a port of this machine's loopback address."""
        ...

    def values(self) -> Mapping[str, object]:
        """Return settings of the chart that only this cluster needs, by dotted name."""
        ...

    def helm(self) -> str:
        """Return Helm's path."""
        ...

    def kubectl(self) -> str:
        """Return kubectl's path."""
        ...

    def on_node(self, argv: Sequence[str]) -> list[str]:
        """Return the command that runs `argv` on the node, where the pods' processes are seen."""
        ...


def possible() -> list[Cluster]:
    """Return the clusters that this machine can have, the preferred one first."""
    found: list[Cluster] = []
    if shell.succeeds(["docker", "info"]):
        found.append(Kind())
    if sys.platform == "linux" and os.geteuid() == 0:
        found.append(Bed())
    return found


def choose(wanted: str | None = None) -> Cluster:
    """Return the cluster for this machine, or the one named `kind` or `testbed`.

    Raises:
        DeployError: neither is possible here.
    """
    if wanted is not None:
        return Kind() if wanted == "kind" else Bed()
    found = possible()
    if not found:
        raise DeployError(
            "no Docker engine answers (docker info), and the test bed needs Linux and root: "
            "start Docker, or run this as root on Linux"
        )
    return found[0]
