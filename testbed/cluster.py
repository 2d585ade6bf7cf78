"""What a cluster is: its settings, written down before anything of it exists."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from testbed.addresses import Addresses
from testbed.errors import BedError, NotUpError, UsageError

if TYPE_CHECKING:
    from testbed.paths import State

DEFAULT_NAME = "tidemill"
# `NAME-host` is an interface, whose name has at most 15 characters.
NAME = re.compile(r"[a-z][a-z0-9-]{0,9}")


@dataclass(frozen=True)
class Cluster:
    """The settings of one cluster; `name` is also that of its network namespace."""

    name: str
    control_plane_only: bool
    addresses: Addresses
    hpa_sync_seconds: int = 15

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise UsageError(
                f"--name must be 1 to 10 of a-z, 0-9 and -, with a letter first: {self.name!r}"
            )

    @property
    def mode(self) -> str:
        return "control-plane" if self.control_plane_only else "node"

    def expected_processes(self) -> list[str]:
        """Return the processes without which the cluster is not whole."""
        control_plane = ["etcd", "apiserver", "controllers", "scheduler"]
        if self.control_plane_only:
            return control_plane
        return [*control_plane, "containerd", "kubelet", "proxy", "dns", "volumes"]


def save(cluster: Cluster, state: State) -> None:
    """Write the record into the state folder, whole or not at all."""
    state.root.mkdir(parents=True, exist_ok=True)
    new = state.record.with_suffix(".new")
    new.write_text(json.dumps(asdict(cluster), indent=2) + "\n")
    new.replace(state.record)


def parse(text: str) -> Cluster:
    """Read a record.

    Raises:
        ValueError, TypeError, KeyError: it is none.
    """
    fields: dict[str, Any] = json.loads(text)
    given: dict[str, Any] = fields.pop("addresses")
    return Cluster(**fields, addresses=Addresses(**given))


def load(state: State) -> Cluster | None:
    """Return the cluster of a state folder, or None when there is none.

    Raises:
        BedError: the record cannot be read.
    """
    try:
        return parse(state.record.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BedError(f"cannot read {state.record} ({error}); is it of another version?") from None


def need(state: State) -> Cluster:
    """Return the cluster of a state folder.

    Raises:
        NotUpError: there is none.
    """
    cluster = load(state)
    if cluster is None:
        raise NotUpError(f"no cluster in {state.root}: run `python3 -m testbed up` first")
    return cluster
