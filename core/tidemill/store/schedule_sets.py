"""The schedules that an app declares beside those that are stored: what an apply would change."""

from collections.abc import Sequence
from typing import Any, Final

from tidemill.jsontext import loads
from tidemill.schedules import NewSchedule, Schedule
from tidemill.store.schedule_rows import columns_of
from tidemill.store.type_sets import Change, Difference

_COLUMNS: Final = (
    *("name", "cron", "time_zone", "type", "payload", "queue", "priority", "max_retries"),
    *("timeout_seconds", "retry", "headers", "missed", "ends_at"),
)
_JSON: Final = frozenset({"payload", "retry", "headers"})


def differences(
    known: Sequence[Schedule], declared: Sequence[NewSchedule], app: str
) -> list[Difference]:
    """Return what applying `declared` would do to each schedule of `app`, by name."""
    by_name = {each.name: each for each in known}
    named = {each.name for each in declared}
    found = [_difference(by_name.get(each.name), each, app) for each in declared]
    found += [
        Difference(each.name, Change.GONE)
        for each in known
        if each.app == app and each.name not in named
    ]
    return sorted(found, key=lambda each: each.name)


def _difference(known: Schedule | None, declared: NewSchedule, app: str) -> Difference:
    if known is None:
        return Difference(declared.name, Change.NEW)
    had = _values(known.definition)
    fields = {
        name: (had[name], value) for name, value in _values(declared).items() if had[name] != value
    }
    taken = known.app != app
    change = Change.CHANGED if fields or taken else Change.UNCHANGED
    return Difference(declared.name, change, fields, known.app if taken else None)


def _values(said: NewSchedule) -> dict[str, Any]:
    values = dict(zip(_COLUMNS, columns_of(said), strict=True))
    values["ends_at"] = said.ends_at and said.ends_at.isoformat()
    return {name: loads(value) if name in _JSON else value for name, value in values.items()}
