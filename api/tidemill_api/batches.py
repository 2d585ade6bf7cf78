"""Batches as they arrive: a JSON array, an object with `tasks`, or a JSON value a line."""

import asyncio
from collections.abc import Iterator
from typing import Any, Final, TypeGuard

from tidemill.errors import Fault, InvalidTask
from tidemill.models import NewTask
from tidemill_api import checking, strictjson
from tidemill_api.paths import rendered
from tidemill_api.strictjson import MAX_FAULTS, BadJson
from tidemill_api.types import Checks, payload_faults

TASKS_A_TURN: Final = 200
"""Checked in one go; between turns other requests are answered."""


def listed(value: Any, most: int) -> list[Any]:
    """Return the tasks of a parsed batch. Raises InvalidTask unless it is 1 to `most` of them."""
    entries: Any = value
    if _is_object(value):
        checking.raise_all(
            [Fault(rendered([name]), "is not a known field") for name in value if name != "tasks"]
        )
        entries = value.get("tasks")
    if not _is_list(entries):
        raise InvalidTask(Fault("tasks", "must be a list of tasks", entries))
    return bounded(entries, most)


def lines(data: bytes, most: int) -> list[Any]:
    """Return the values of an NDJSON body without its blank lines. Raises BadJson, InvalidTask."""
    values: list[Any] = []
    faults: list[Fault] = []
    for line in _split(data):
        if len(values) >= most:
            raise _too_many(most)
        try:
            values.append(strictjson.parse(line, where=f"tasks[{len(values)}]"))
        except BadJson as error:
            values.append(None)
            faults.extend(error.faults)
            if len(faults) >= MAX_FAULTS:
                break
    if faults:
        raise BadJson(*faults[:MAX_FAULTS])
    return bounded(values, most)


def bounded(entries: list[Any], most: int) -> list[Any]:
    """Return `entries`. Raises InvalidTask unless there are 1 to `most`."""
    if not entries:
        raise InvalidTask(Fault("tasks", "must have at least 1 entry"))
    if len(entries) > most:
        raise _too_many(most)
    return entries


async def tasks_of(entries: list[Any]) -> list[NewTask]:
    """Return the tasks of a batch. Raises InvalidTask with the faults of all of them."""
    tasks: list[NewTask] = []
    faults: list[Fault] = []
    for place, entry in enumerate(entries):
        if place % TASKS_A_TURN == 0:
            await asyncio.sleep(0)
        try:
            tasks.append(checking.task_of(entry, f"tasks[{place}]"))
        except InvalidTask as error:
            faults.extend(error.faults)
            if len(faults) >= MAX_FAULTS:
                break
    checking.raise_all(faults)
    return tasks


async def check_payloads(tasks: list[NewTask], checks: Checks) -> None:
    """Raise InvalidTask with the faults of all payloads."""
    if checks.keys().isdisjoint({task.type for task in tasks}):
        return
    faults: list[Fault] = []
    for place, task in enumerate(tasks):
        if place % TASKS_A_TURN == 0:
            await asyncio.sleep(0)
        faults.extend(payload_faults(task, checks, place))
        if len(faults) >= MAX_FAULTS:
            break
    checking.raise_all(faults)


def _is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def _is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _split(data: bytes) -> Iterator[bytes]:
    """Yield the lines that are not blank, without holding all of them at once."""
    start = 0
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        line = data[start:end]
        start = end + 1
        if line.strip():
            yield line


def _too_many(most: int) -> InvalidTask:
    return InvalidTask(Fault("tasks", f"must have at most {most} entries"))
