"""Loads from a file: CSV with the columns at_seconds, run_seconds and, if wished, count."""

import csv
import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from tidemill_operator.simulation.loads import Arrival

COLUMNS = ("at_seconds", "run_seconds", "count")
MOST_TASKS = 1_000_000
MOST_SECONDS = 30 * 86_400.0
"""Each look of the operator is played, and there is one every 2 s."""


def read(lines: Iterable[str]) -> list[Arrival]:
    """Return the tasks of a trace, the earliest first.

    Raises ValueError that names the line, the column, the rule and the value.
    """
    rows = csv.DictReader(lines)
    try:
        return sorted(_read(rows), key=lambda each: each.at)
    except csv.Error as error:
        message = f"line {rows.line_num + 1}: must be CSV ({error})"
        raise ValueError(message) from None


def _read(rows: "csv.DictReader[str]") -> list[Arrival]:
    names = [name.strip(" \ufeff") for name in rows.fieldnames or ()]
    if not {"at_seconds", "run_seconds"} <= set(names) <= set(COLUMNS):
        got = ",".join(names) or "nothing"
        message = f"line 1: must be at_seconds,run_seconds or {','.join(COLUMNS)} (got {got})"
        raise ValueError(message)
    rows.fieldnames = names
    found = list[Arrival]()
    for row in rows:
        if row.get(None) is not None:
            message = f"line {rows.line_num}: must have {len(names)} columns (got more)"
            raise ValueError(message)
        found += islice(_tasks(row, rows.line_num), MOST_TASKS + 1 - len(found))
        if len(found) > MOST_TASKS:
            message = f"line {rows.line_num}: must be at most {MOST_TASKS} tasks in all"
            raise ValueError(message)
    if not found:
        message = "line 2: must be a task (got the end of the file)"
        raise ValueError(message)
    return found


def _tasks(row: Mapping[str, str | None], line: int) -> Iterator[Arrival]:
    at, run_seconds = (
        _number(row, name, line, MOST_SECONDS) for name in ("at_seconds", "run_seconds")
    )
    count = _number(row, "count", line, MOST_TASKS) if row.get("count") else 1
    if count != int(count):
        message = f"line {line}, count: must be a whole number (got {row['count']})"
        raise ValueError(message)
    return (Arrival(at, run_seconds) for _ in range(int(count)))


def _number(row: Mapping[str, str | None], name: str, line: int, most: float) -> float:
    text = row.get(name)
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    shown = "nothing" if not text else repr(text)
    if not value >= 0:
        message = f"line {line}, {name}: must be a number of at least 0 (got {shown})"
        raise ValueError(message)
    if value > most:
        message = f"line {line}, {name}: must be at most {most:.0f} (got {shown})"
        raise ValueError(message)
    return value
