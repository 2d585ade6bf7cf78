"""Who this process is: what it says of itself when it registers."""

import os
import socket
from collections.abc import Sequence
from pathlib import Path

import tidemill
from tidemill.models import WorkerInfo
from tidemill.settings import Settings

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_FIRST_PROCESS = Path("/proc/1/stat")
_START_TIME_FIELD = 22  # of /proc/<pid>/stat, counted from 1: ticks since boot


def describe(settings: Settings, queues: Sequence[str] | None) -> WorkerInfo:
    """Return this process's description; `queues` None = all."""
    in_pod = bool(settings.pod_uid)
    host = socket.gethostname()
    return WorkerInfo(
        name=f"{settings.pod_name or host}-{os.getpid()}",
        slots=settings.concurrency,
        queues=tuple(queues or ("*",)),
        version=tidemill.__version__,
        hostname=host,
        pid=os.getpid(),
        pod_uid=settings.pod_uid or None,
        pod_name=settings.pod_name or None,
        container=settings.container or None,
        instance=container_instance() if in_pod else None,
    )


def container_instance() -> str | None:
    """Return what tells this run of the container from the one before its restart.

    The start time of the container's first process, with the machine's boot. None where there is
    no /proc: then nothing is recovered early, and leases expire as always.
    """
    try:
        # the second field, a program name in parentheses, may contain spaces
        fields = _FIRST_PROCESS.read_text().rpartition(")")[2].split()
        return f"{_BOOT_ID.read_text().strip()}-{fields[_START_TIME_FIELD - 3]}"
    except (OSError, IndexError):
        return None
