"""Which queues a worker works on: the setting, read."""

import re

from tidemill.errors import ConfigurationError
from tidemill.models import queue_name_pattern

ALL = "*"


def parse_queues(setting: str, *, strict: bool = False) -> tuple[str, ...] | None:
    """Return the names in `setting`, or None for all queues. Raises ConfigurationError.

    `name=weight` names a queue as often as its weight. In a `strict` order, which is that of the
    names, there are neither weights nor `*`.
    """
    if strict and (setting.strip() == ALL or "=" in setting):
        raise ConfigurationError(
            "TIDEMILL_QUEUE_ORDER strict: TIDEMILL_QUEUES must name the queues in their order, "
            f"without weights (got {setting!r})"
        )
    entries = [entry.strip() for entry in setting.split(",") if entry.strip()]
    if not entries:
        raise ConfigurationError(f"TIDEMILL_QUEUES must name queues, or * (got {setting!r})")
    if ALL in entries:
        if len(entries) > 1:
            raise ConfigurationError(f"TIDEMILL_QUEUES must be * alone or names (got {setting!r})")
        return None
    return tuple(name for entry in entries for name in _weighted(entry))


def _weighted(entry: str) -> list[str]:
    name, equals, weight = entry.partition("=")
    if not re.fullmatch(queue_name_pattern, name):
        rule = f"queue names must match {queue_name_pattern}"
        raise ConfigurationError(f"TIDEMILL_QUEUES: {rule} (got {name!r})")
    if equals and not (weight.isdecimal() and 1 <= int(weight) <= 100):  # noqa: PLR2004 - a percent
        raise ConfigurationError(f"TIDEMILL_QUEUES: a weight must be 1 to 100 (got {entry!r})")
    return [name] * (int(weight) if equals else 1)
