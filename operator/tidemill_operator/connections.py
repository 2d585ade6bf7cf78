"""Free database connections, shared out: what one TaskQueue's workers take is not offered twice.

A worker that is starting has not connected yet, so its connections are still counted as free.
"""

from collections.abc import Mapping
from typing import Any

from tidemill.settings import Settings
from tidemill_operator.body import parts

SPARE_CONNECTIONS = 3
"""Left for everybody else: a person with psql, a restart of the API."""

BESIDE_POOL = 2
"""A worker's heartbeats and its listener have a connection each, beside the pool."""

POOL_SIZE = "TIDEMILL_DATABASE_POOL_SIZE"


class Connections:
    """How many connections the database has left for new workers."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._free: int | None = None
        self._claimed: dict[str, int] = {}

    def seen(self, free: int | None) -> None:
        """Take over what the database has left now; None = unknown, or none of ours to count."""
        self._free = free

    def left_for(self, uid: str, starting: int) -> int | None:
        """Return what is left beside what workers that start take: `starting` for this one."""
        self._claimed[uid] = starting
        if self._free is None:
            return None
        return self._free - SPARE_CONNECTIONS - sum(self._claimed.values())

    def claim(self, uid: str, more: int) -> None:
        """Note that workers for this TaskQueue will take `more`, until the next `left_for`."""
        self._claimed[uid] = self._claimed.get(uid, 0) + more

    def forget(self, uid: str) -> None:
        """Let go of what a TaskQueue claimed."""
        self._claimed.pop(uid, None)


def connections_per_replica(spec: Mapping[str, Any], settings: Settings) -> int:
    """Return how many connections one worker of a TaskQueue opens at most; 0 behind a pooler."""
    if settings.database_pooler != "none":
        return 0
    size = settings.database_pool_size
    for each in parts(spec, "worker", "env"):
        value = str(each.get("value", ""))
        if each["name"] == POOL_SIZE and value.isdecimal():
            size = int(value)
    return size + BESIDE_POOL
