"""An app's task types beside those that are registered: what an apply would change."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from tidemill.jsontext import dumps_or_none, loads
from tidemill.models import TaskType

_PLAIN: Final = ("description", "queue", "priority", "max_retries", "timeout_seconds")


class Change(StrEnum):
    """What becomes of a type when its app is applied."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    GONE = "gone"
    """The app registered it once and does not have it any more."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One type of an app, or of its past. `fields` are (from, to) by name where they differ."""

    name: str
    change: Change
    fields: dict[str, tuple[Any, Any]] = field(default_factory=dict[str, tuple[Any, Any]])
    other_app: str | None = None
    """Another app that had registered the name: the newest registration wins."""


def differences(
    known: Sequence[TaskType], declared: Sequence[TaskType], app: str
) -> list[Difference]:
    """Return what applying `declared` would do to each type of `app`, by name."""
    by_name = {each.name: each for each in known}
    named = {each.name for each in declared}
    found = [_difference(by_name.get(each.name), each, app) for each in declared]
    found += [
        Difference(each.name, Change.GONE)
        for each in known
        if each.app == app and each.name not in named
    ]
    return sorted(found, key=lambda each: each.name)


def _difference(known: TaskType | None, declared: TaskType, app: str) -> Difference:
    if known is None:
        return Difference(declared.name, Change.NEW)
    had = values(known)
    fields = {
        name: (had[name], value) for name, value in values(declared).items() if had[name] != value
    }
    other = known.app if known.app != app else None
    change = Change.CHANGED if fields or other else Change.UNCHANGED
    return Difference(declared.name, change, fields, other)


def values(each: TaskType) -> dict[str, Any]:
    """Return what is registered of a type, as JSON has it: a tuple as a list, for one."""
    plain = {name: getattr(each, name) for name in _PLAIN}
    retry = each.retry.to_json() if each.retry else None
    return plain | {"retry": _as_json(retry), "schema": _as_json(each.schema)}


def _as_json(value: Any) -> Any:
    return loads(dumps_or_none(value))
