"""One load for many askers: whoever asks while one runs waits for it, or for the next.

A value is fresh when its load *began* no longer than the asker's limit ago, so an asker with limit
0 sees everything that was committed before it asked.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Shared(Generic[Value]):
    """The latest result of `load`, loaded again when an asker finds it too old."""

    def __init__(
        self, load: Callable[[], Awaitable[Value]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Load nothing yet."""
        self._load = load
        self._clock = clock
        self._lock = asyncio.Lock()
        self._began = float("-inf")
        self._value: Value | None = None
        self._failed_began = float("-inf")
        self._failure: Exception | None = None

    async def get(self, max_age: float) -> Value:
        """Return a value whose load began at most `max_age` seconds before this call.

        Raises what `load` raises, once for all who wait for it.
        """
        asked = self._clock()
        if self._value is not None and self._began >= asked - max_age:
            return self._value
        async with self._lock:
            if self._value is not None and self._began >= asked - max_age:
                return self._value
            if self._failure is not None and self._failed_began >= asked:
                raise self._failure
            return await self._loaded()

    def fresh(self, max_age: float) -> Value | None:
        """Return the value that `get` would return without waiting, or None."""
        return self._value if self._began >= self._clock() - max_age else None

    async def _loaded(self) -> Value:
        began = self._clock()
        try:
            value = await self._load()
        except Exception as error:
            self._failure, self._failed_began = error, began
            raise
        self._value, self._began = value, began
        return value
