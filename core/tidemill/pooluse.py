"""How the pools of this process are used: what a full pool looks like from outside.

Counting costs a statement two or three microseconds; only one that has to wait is timed.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

from tidemill.metrics import SECONDS_BUCKETS, Gauge, Histogram

_MODE: Final = "livesum"  # of the processes that serve one port: what they have together
MOST: Final = Gauge(
    "tidemill_database_pool_size",
    "Connections that the pools of this process may open",
    multiprocess_mode=_MODE,
)
OPEN: Final = Gauge(
    "tidemill_database_connections",
    "Connections that the pools of this process have open, in use or idle",
    multiprocess_mode=_MODE,
)
IN_USE: Final = Gauge(
    "tidemill_database_connections_in_use",
    "Connections of the pools that are lent",
    multiprocess_mode=_MODE,
)
WAITERS: Final = Gauge(
    "tidemill_database_waiters",
    "Who waits for a connection because all of a pool are lent",
    multiprocess_mode=_MODE,
)
WAITED: Final = Histogram(
    "tidemill_database_wait_seconds",
    "How long those waited for a connection who found all of a pool lent",
    buckets=SECONDS_BUCKETS,
)


class PoolUse:
    """The use of one pool of up to `most` connections."""

    def __init__(self, most: int) -> None:
        """Count nothing yet."""
        self._most = most
        self._asked = 0
        self._open = 0

    def opened(self) -> None:
        """Note that there is a pool."""
        MOST.inc(self._most)

    def closed(self) -> None:
        """Note that there is none any more."""
        MOST.dec(self._most)
        self._show(0)

    @contextmanager
    def asking(self) -> Generator[None]:
        """Note that one is asked for, and lent at the end; to be followed by `returned`."""
        waits = self._asked >= self._most
        self._asked += 1
        try:
            if waits:
                with WAITERS.track_inprogress(), WAITED.time():
                    yield
            else:
                yield
        except BaseException:
            self._asked -= 1
            raise
        IN_USE.inc()

    def returned(self, pool: Any) -> None:
        """Note that one is back in `pool`, or was closed."""
        self._asked -= 1
        IN_USE.dec()
        self._show(pool.get_size())

    def _show(self, size: int) -> None:
        if size != self._open:
            OPEN.inc(size - self._open)
            self._open = size
