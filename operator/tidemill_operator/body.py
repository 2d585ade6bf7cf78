"""Reading parts of a Kubernetes object that may be absent, null or empty alike."""

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]


def part(body: Mapping[str, Any], *names: str) -> Json:
    """Return the object at the end of the path `names`; {} when any step is missing."""
    at: Any = body
    for name in names:
        at = at.get(name) or {}
    found: Json = at
    return found


def parts(body: Mapping[str, Any], *names: str) -> list[Json]:
    """Return the list at the end of the path `names`; [] when any step is missing."""
    found: list[Json] = part(body, *names[:-1]).get(names[-1]) or []
    return found
