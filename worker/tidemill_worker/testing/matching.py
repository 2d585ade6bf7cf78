"""Which of the enqueued tasks are meant, and what to say when there are none, or too many."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Protocol, TypeVar, cast

from pydantic_core import to_json, to_jsonable_python

from tidemill.sdk.definition import TaskDefinition

Kind = TaskDefinition[..., Any] | str
"""A task type: what `@app.task` made, or its name"""

_SHOWN_CHARACTERS = 200
_SHOWN_TASKS = 20
_OPTIONS = ("priority", "delay_seconds", "run_at", "idempotency_key", "expires_at")


class Seen(Protocol):
    """What all enqueued tasks have, stored or only captured."""

    @property
    def type(self) -> str:
        """Return its type's name."""
        ...

    @property
    def payload(self) -> Any:
        """Return its payload, as JSON."""
        ...


S = TypeVar("S", bound=Seen)


def chosen(
    tasks: Sequence[S],
    kind: Kind,
    payload: Mapping[str, Any] | None,
    count: int | None,
    options: Mapping[str, Any],
) -> list[S]:
    """Return those of `tasks` that are meant. Raises AssertionError unless there are `count`.

    `payload` is what must be in theirs, at any depth; `count` None = at least one.
    """
    name = kind if isinstance(kind, str) else kind.name
    wanted = to_jsonable_python(dict(payload or {}))
    found = [
        each
        for each in tasks
        if each.type == name and _within(wanted, each.payload) and _has(each, options)
    ]
    if not found if count is None else len(found) != count:
        raise AssertionError(_message(tasks, name, wanted, options, found=len(found), count=count))
    return found


def listed(tasks: Sequence[Seen]) -> str:
    """Return one line a task."""
    lines = [f"  {n}. {_shown(each)}" for n, each in enumerate(tasks[:_SHOWN_TASKS], 1)]
    if len(tasks) > _SHOWN_TASKS:
        lines.append(f"  … and {len(tasks) - _SHOWN_TASKS} more")
    return "\n".join(lines)


def _message(
    tasks: Sequence[Seen],
    name: str,
    payload: dict[str, Any],
    options: Mapping[str, Any],
    *,
    found: int,
    count: int | None,
) -> str:
    about = f" with {_json(payload)} in its payload" if payload else ""
    about += "".join(f", {option}={value!r}" for option, value in options.items())
    expected = "at least one" if count is None else str(count)
    head = f"expected {expected} enqueued task of type {name!r}{about}; found {found}."
    if not tasks:
        return f"{head} Nothing was enqueued."
    return f"{head} Enqueued:\n{listed(tasks)}"


def _within(wanted: Any, given: Any) -> bool:
    if isinstance(wanted, dict) and isinstance(given, dict):
        inner = cast("dict[str, Any]", wanted)
        return all(key in given and _within(value, given[key]) for key, value in inner.items())
    return bool(wanted == given)


def _has(task: Seen, options: Mapping[str, Any]) -> bool:
    return all(_option(task, name) == value for name, value in options.items())


def _option(task: Any, name: str) -> Any:
    if not hasattr(task, name):
        known = ", ".join(each.name for each in fields(task))
        raise TypeError(f"a task has no {name!r}: it has {known}")
    value = getattr(task, name)
    return "default" if name == "queue" and value is None else value


def _shown(task: Any) -> str:
    given = {name: getattr(task, name, None) for name in _OPTIONS}
    options = "".join(f"  {name}={value}" for name, value in given.items() if value)
    queue = _option(task, "queue")
    return f"{task.type}  {_json(task.payload)}  queue={queue}{options}"


def _json(value: Any) -> str:
    text = to_json(value).decode()
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
