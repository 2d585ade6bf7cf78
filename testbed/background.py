"""The test bed's own background programs: how they are started, and what they run.

`python3 -m testbed.background volumes STATE` and `… forward STATE PORT TARGET` are not for
users: `up` and `forward` start them, recorded like every other process.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from typing import TYPE_CHECKING

from testbed import cluster as clusters
from testbed import forward, places, processes, volumes
from testbed.errors import BedError, BusyError
from testbed.paths import SOURCE, State

if TYPE_CHECKING:
    from testbed.cluster import Cluster
    from testbed.forward import Forward

READY_SECONDS = 10.0


def _argv(*arguments: str) -> list[str]:
    """Return the command of a program here, which finds this package from any folder."""
    path = f"PYTHONPATH={SOURCE.parent}"
    return ["env", path, sys.executable, "-m", "testbed.background", *arguments]


def start_volumes(cluster: Cluster, state: State) -> None:
    """Start the recycling of volumes."""
    processes.spawn(state, "volumes", _argv("volumes", str(state.root)), places.host(cluster))


def start_forward(cluster: Cluster, state: State, wanted: Forward) -> None:
    """Start a forwarding and return when it accepts connections.

    Raises:
        BusyError: the port is in use by something else.
        StepError: it did not start.
    """
    if processes.running(state, wanted.process):
        processes.stop(state, [wanted.process])
    if _accepts(wanted.port):
        raise BusyError(f"port {wanted.port} of 127.0.0.1 is in use by another program")
    target = f"{wanted.target_host}:{wanted.target_port}"
    command = _argv("forward", str(state.root), str(wanted.port), target)
    processes.spawn(state, wanted.process, command, places.host(cluster))
    processes.wait_until(
        lambda: _accepts(wanted.port),
        step="forward",
        seconds=READY_SECONDS,
        state=state,
        names=[wanted.process],
    )


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def main(arguments: list[str]) -> int:
    """Run one of the programs until it is stopped."""
    try:
        kind, folder, *rest = arguments
        state = State.of(folder, os.environ)
        cluster = clusters.need(state)
        if kind == "volumes":
            volumes.keep(cluster, state)
        else:
            asyncio.run(forward.serve(forward.parse(rest[0], rest[1], cluster)))
    except (BedError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
