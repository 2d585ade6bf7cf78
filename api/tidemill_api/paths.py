"""How a fault's place is written: `tasks[3].payload.to`, `payload["a key.with dots"]`."""

import json
import re
from collections.abc import Iterable

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,99}")
_LONGEST_KEY = 100


def rendered(steps: Iterable[str | int], start: str = "") -> str:
    """Return the path from `start` through `steps`; empty for the root itself."""
    text = start
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f"[{json.dumps(step[:_LONGEST_KEY])}]"
    return text
