"""JSON texts of many MiB: parsed in a thread, so that others are answered, and one at a time.

Parsed, a text may take twenty times its bytes (`[],[],…`), and no budget of bodies knows that.
Those that wait for their turn are bounded: each holds its bytes of the budget.
"""

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, Final

from tidemill_api import reading, strictjson
from tidemill_api.context import Api

ON_LOOP_BYTES: Final = 128 * 1024
"""What is parsed in a few ms."""


def most_bytes(api: Api) -> int:
    """Return how long a JSON text may be; one payload of the largest size always fits."""
    largest = api.settings.max_payload_bytes + reading.ENVELOPE_BYTES
    return min(reading.MAX_BATCH_BYTES, max(reading.MAX_WHOLE_BYTES, largest))


def turn(api: Api, data: bytes) -> AbstractAsyncContextManager[Any]:
    """Wait for the turn of a large text; held for as long as its parsed values are."""
    return api.parsing if len(data) > ON_LOOP_BYTES else nullcontext()


async def parsed(data: bytes) -> Any:
    """Return the value of a JSON text. Raises BadJson."""
    if len(data) <= ON_LOOP_BYTES:
        return strictjson.parse(data)
    return await asyncio.to_thread(strictjson.parse, data)
