"""Processor time of process trees: what stays comparable while others use the machine.

Read from /proc, so on Linux only; elsewhere, and for a server that is not ours, it is unknown.
"""

import os
import resource
import time
from collections.abc import Iterable
from pathlib import Path

_PROC = Path("/proc")


def of_trees(roots: Iterable[int]) -> float | None:
    """Return the seconds that these processes and all below them have used, ended ones included."""
    if not (_PROC / "self" / "stat").exists():
        return None
    stats = {int(each.name): _stat(each) for each in _PROC.iterdir() if each.name.isdecimal()}
    wanted, found = set(roots), set[int]()
    while wanted:
        found |= wanted
        wanted = {pid for pid, stat in stats.items() if stat and int(stat[1]) in wanted} - found
    used = sum(_ticks(stat) for pid, stat in stats.items() if pid in found and stat)
    return used / os.sysconf("SC_CLK_TCK")


def of_self() -> float:
    """Return the seconds of this process, and of children that it has waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _stat(process: Path) -> list[str] | None:
    """Return the fields of `stat` from the third on: the second is a name with anything in it."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _ticks(stat: list[str]) -> int:
    """Sum utime, stime, and those of the children that were waited for (proc(5), 14 to 17)."""
    return sum(int(each) for each in stat[11:15])
