"""Run a handler's coroutine inside the task of its slot, in a context of its own.

Most short handlers never wait for anything: their coroutine ends at its first step, and an
asyncio task for each would cost more than the handler. So a slot is the asyncio task, and steps
the coroutines of its handlers one after the other. `asyncio.current_task()` is the slot's task,
so `asyncio.timeout` and task groups work as in any task; context variables that a handler sets
stay its own, because every step runs in the handler's copy of the context.
"""

from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, copy_context
from functools import partial
from types import coroutine
from typing import Any

from tidemill.sdk.context import Context as TaskContext
from tidemill.sdk.context import current
from tidemill_worker.conclude import Ended


def first_step(handler: Coroutine[Any, Any, Any], task: TaskContext) -> "Ended | Suspended":
    """Run `handler` until it ends or first waits; `current` is `task` in its context."""
    context = copy_context()
    context.run(current.set, task)
    try:
        waits_for = context.run(handler.send, None)
    except StopIteration as end:
        return Ended(value=end.value)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - what it means is decided in `conclude`
        return Ended(error=error)
    return Suspended(handler, context, waits_for)


class Suspended:
    """A handler that waits for something."""

    __slots__ = ("_context", "_handler", "_waits_for")

    def __init__(self, handler: Coroutine[Any, Any, Any], context: Context, waits_for: Any) -> None:
        """Keep what the first step yielded."""
        self._handler, self._context, self._waits_for = handler, context, waits_for

    async def ended(self) -> Ended:
        """Await the handler's end."""
        try:
            return Ended(value=await self._steps())
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # noqa: BLE001 - what it means is decided in `conclude`
            return Ended(error=error)

    @coroutine
    def _steps(self) -> Generator[Any, Any, Any]:
        """Pass on to the event loop what the handler waits for, and back what comes of it."""
        waits_for = self._waits_for
        while True:
            step: Callable[[], Any]
            try:
                step = partial(self._handler.send, (yield waits_for))
            except BaseException as error:  # noqa: BLE001 - the handler gets whatever was thrown
                step = partial(self._handler.throw, error)
            try:
                waits_for = self._context.run(step)
            except StopIteration as end:
                return end.value
