"""SIGTERM and Ctrl-C: the first asks to stop, the second to hurry."""

import asyncio
import signal
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
SAME_SIGNAL_SECONDS: Final = 0.5
"""`timeout`, say, signals a process and then its whole group: that is one wish."""

LAST_SECONDS: Final = 3
"""How long a process that was told to hurry may take to end once nothing is served."""


@contextmanager
def told_twice() -> Generator[tuple[asyncio.Event, asyncio.Event]]:
    """Yield what the first signal sets, and what a later one sets. At exit the process ends."""
    stop, hurry = asyncio.Event(), asyncio.Event()
    loop, last = asyncio.get_running_loop(), float("-inf")

    def told() -> None:
        nonlocal last
        if loop.time() - last > SAME_SIGNAL_SECONDS:
            (hurry if stop.is_set() else stop).set()
            last = loop.time()

    for each in SIGNALS:
        loop.add_signal_handler(each, told)
    try:
        yield stop, hurry
    finally:
        for each in SIGNALS:
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_IGN)  # a third one changes nothing: this ends
        if hurry.is_set():
            signal.alarm(LAST_SECONDS)  # whatever still holds it up
