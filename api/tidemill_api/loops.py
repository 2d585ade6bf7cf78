"""The event loop that the API's own processes run on: uvloop, a fifth cheaper a request (ADR 9).

Where it is not installed (Windows, PyPy) asyncio's serves as well. Workers and applications that
mount the API keep the loop that they have.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final, TypeVar

UVLOOP: Final = "uvloop"
_log = logging.getLogger(__name__)
Result = TypeVar("Result")


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Run `main` as asyncio.run does, on the best loop there is."""
    with asyncio.Runner(loop_factory=factory()) as runner:
        return runner.run(main)


def factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes a loop."""
    if find_spec(UVLOOP) is None:
        _log.debug("uvloop is not installed: requests cost a fifth more on asyncio's own loop")
        return asyncio.new_event_loop
    made: Callable[[], asyncio.AbstractEventLoop] = import_module(UVLOOP).new_event_loop
    return made
