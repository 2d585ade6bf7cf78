"""Pauses that grow while something keeps failing."""

import asyncio
import logging
import random

FIRST_SECONDS = 0.1
LONGEST_SECONDS = 5.0


class Backoff:
    """Doubling pauses with jitter; only the first failure of a row is logged loudly."""

    def __init__(self, longest_seconds: float = LONGEST_SECONDS) -> None:
        """Start with the shortest pause."""
        self._longest = longest_seconds
        self._failures = 0

    def log(self, log: logging.Logger, what: str, error: BaseException) -> None:
        """Say what failed."""
        level = logging.DEBUG if self._failures else logging.WARNING
        log.log(level, "%s: %s", what, str(error) or type(error).__name__)  # TimeoutError() is mute

    async def pause(self) -> None:
        """Wait, longer each time."""
        longest = min(self._longest, FIRST_SECONDS * 2 ** min(self._failures, 10))
        self._failures += 1
        await asyncio.sleep(longest * random.uniform(0.5, 1.0))

    def reset(self) -> None:
        """It works again."""
        self._failures = 0
