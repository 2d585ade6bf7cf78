"""Whose fault the refusal of a shared insert is."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from tidemill.errors import Conflict, Fault, InvalidTask, QueueFull
from tidemill.models import NewTask

Kind = tuple[str, str | None]
"""Type and queue as given: what a full queue or an unknown type refuses, it refuses for all."""

_LOCK_NOT_AVAILABLE: Final = "55P03"
_PLACE: Final = re.compile(r"tasks\[(\d+)\]\.?")
_OF_A_KIND: Final = frozenset({"queue", "type"})


def kind_of(task: NewTask) -> Kind:
    """Return the kind of a task."""
    return task.type, task.queue


def innocent(
    error: Exception, part: list[int], tasks: Sequence[NewTask]
) -> tuple[list[list[int]], dict[int, Exception]]:
    """Return the parts of `part` to try again, and the tasks that caused `error` with theirs."""
    guilty = {0} if len(part) == 1 else _places(error, len(part))
    if not guilty:
        return _halves(part), {}
    if isinstance(error, QueueFull) and len(part) > 1:
        # some of its kind may still fit
        kind = kind_of(tasks[part[min(guilty)]])
        same = [place for place in part if kind_of(tasks[place]) == kind]
        rest = [place for place in part if kind_of(tasks[place]) != kind]
        return [each for each in (*_halves(same), rest) if each], {}
    rest = [place for index, place in enumerate(part) if index not in guilty]
    return [rest] if rest else [], {part[place]: _alone(error, place) for place in guilty}


def kinds(guilty: Mapping[int, Exception], tasks: Sequence[NewTask]) -> dict[Kind, Exception]:
    """Return the kinds of tasks that are refused whatever else they say."""
    return {
        kind_of(tasks[place]): error
        for place, error in guilty.items()
        if _is_of_a_kind(error, tasks[place])
    }


def waited_for_another(error: Exception) -> bool:
    """Tell whether a key or a new queue was held by a transaction that does not end."""
    return getattr(error.__cause__, "sqlstate", None) == _LOCK_NOT_AVAILABLE


def _halves(part: list[int]) -> list[list[int]]:
    middle = len(part) // 2
    return [part[middle:], part[:middle]]


def _is_of_a_kind(error: Exception, task: NewTask) -> bool:
    if isinstance(error, InvalidTask):
        return all(fault.field in _OF_A_KIND for fault in error.faults)
    # a known key gets its task even where the queue is full
    return isinstance(error, QueueFull) and task.idempotency_key is None


def _places(error: Exception, count: int) -> set[int]:
    """Return which tasks of a batch `error` names; empty when it names none."""
    texts = [f.field for f in error.faults] if isinstance(error, InvalidTask) else [str(error)]
    found = (_PLACE.match(text) for text in texts)
    return {int(each[1]) for each in found if each and int(each[1]) < count}


def _alone(error: Exception, place: int) -> Exception:
    """Return `error` as the task at `place` would have got it outside any batch."""
    if isinstance(error, InvalidTask):
        marks = ((fault, _PLACE.match(fault.field)) for fault in error.faults)
        own = [fault for fault, mark in marks if mark is None or int(mark[1]) == place]
        return type(error)(*(Fault(_PLACE.sub("", f.field, 1), f.rule, f.value) for f in own))
    message = _PLACE.sub("", str(error), 1)
    if isinstance(error, QueueFull):
        return QueueFull(message, retry_after=error.retry_after)
    if isinstance(error, Conflict):
        return type(error)(message)
    return error
