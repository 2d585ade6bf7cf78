"""How a handler process ended, from the report of its guard."""

import json
import signal
from dataclasses import dataclass

_MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Death:
    """In words, and as the metric counts it."""

    words: str
    how: str


def death_of(report: bytes) -> Death:
    """Return what the guard says; it says nothing when it was killed itself."""
    if not report:
        return Death("ended, and its guard with it", "signal")
    ended = json.loads(report)
    if "held" in ended:
        held, limit = ended["held"] // _MEGABYTE, ended["limit"] // _MEGABYTE
        return Death(f"held {held} MB, more than max_memory_mb={limit}", "memory")
    if "signal" in ended:
        return Death(f"killed by {_name(ended['signal'])}", "signal")
    return Death(f"ended with exit code {ended['exit']}", "exit")


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
