"""Batches in one JSON text: an array, or an object with `tasks`."""

from typing import Any, TypeGuard

from tidemill.errors import Fault, InvalidTask
from tidemill_api import checking, texts
from tidemill_api.context import Api
from tidemill_api.gathering import Gathering, too_many
from tidemill_api.paths import rendered


async def gather(api: Api, data: bytes, gathering: Gathering) -> None:
    """Add the tasks of an array, or of an object with `tasks`. Raises BadJson, InvalidTask."""
    async with texts.turn(api, data):
        entries = _listed(await texts.parsed(data))
        if len(entries) > api.settings.max_batch_tasks:
            raise too_many(api.settings.max_batch_tasks)
        long = len(data) > api.settings.max_payload_bytes
        size = len(data) // max(1, len(entries))
        entries.reverse()
        while entries:  # each is let go once it is added
            await gathering.add(entries.pop(), size, long=long)


def _listed(value: Any) -> list[Any]:
    """Return the tasks of a parsed batch. Raises InvalidTask unless it is a list of them."""
    entries: Any = value
    if _is_object(value):
        checking.raise_all(
            [Fault(rendered([name]), "is not a known field") for name in value if name != "tasks"]
        )
        entries = value.get("tasks")
    if not _is_list(entries):
        raise InvalidTask(Fault("tasks", "must be a list of tasks", entries))
    return entries


def _is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def _is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)
