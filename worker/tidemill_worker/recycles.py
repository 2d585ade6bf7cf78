"""How often this process has started itself anew, over all its interpreters.

An exec takes every counter with it; what must outlast it goes through the environment.
"""

import os
from collections import Counter
from typing import Final

from tidemill_worker import metrics

VARIABLE: Final = "TIDEMILL_RECYCLED"


def note(reason: str) -> None:
    """Count one more, for the interpreter that follows: `tasks` or `memory`."""
    counts = _counts()
    counts[reason] += 1
    os.environ[VARIABLE] = ",".join(f"{name}={count}" for name, count in counts.items())


def recall() -> None:
    """Show what the interpreters before this one have counted."""
    for reason, count in _counts().items():
        metrics.RECYCLES.labels(reason).inc(count)


def _counts() -> Counter[str]:
    counts: Counter[str] = Counter()
    for part in os.environ.get(VARIABLE, "").split(","):
        reason, _, count = part.partition("=")
        if reason in metrics.RECYCLE_REASONS and count.isdecimal():
            counts[reason] += int(count)
    return counts
