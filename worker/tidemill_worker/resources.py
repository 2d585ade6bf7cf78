"""Opens what handlers share (`tidemill.sdk.resources`) once, and closes it in reverse order.

One asyncio task opens, waits and closes: what an opener enters it leaves in the same task, as
cancel scopes and task groups inside of it demand.
"""

import asyncio
import inspect
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from typing import Any

from tidemill.errors import ConfigurationError
from tidemill.sdk.definition import TaskDefinition
from tidemill.sdk.resources import Opener
from tidemill.sdk.signature import name_of
from tidemill.service import Service

CLOSE_SECONDS = 10.0
"""How long closing all of them may take before the worker ends without."""

Definition = TaskDefinition[..., Any]

log = logging.getLogger("tidemill.worker")


class Resources(Service):
    """What the handlers of `definitions` asked for, open between `start` and `stop`."""

    name = "resources"

    def __init__(
        self, definitions: Iterable[Definition] = (), given: Mapping[Opener, Any] | None = None
    ) -> None:
        """Open nothing yet. `given` are values to use in place of what an opener would open."""
        self._wanted = {
            each.name: {name: resource.open for name, resource in each.resources.items()}
            for each in definitions
            if each.resources
        }
        self._given = dict(given or {})
        self._arguments: dict[str, dict[str, Any]] = {}
        self._closing = asyncio.Event()
        self._opening = False
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open them all. Raises ConfigurationError naming the opener that failed."""
        if self._task is not None or not self._wanted:
            return
        self._closing.clear()
        self._opening = True
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._live(opened), name=self.name)
        try:
            await opened
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close them, the last one first; what fails at that is logged."""
        task, self._task = self._task, None
        if task is None:
            return
        self._closing.set()
        if self._opening:
            task.cancel()
        await asyncio.wait([task], timeout=CLOSE_SECONDS)
        self._arguments = {}
        if not task.done():
            log.warning("resources do not close: left as they are")
            task.cancel()

    def of(self, definition: Definition) -> dict[str, Any]:
        """Return the arguments that a handler gets beside its payload."""
        return self._arguments.get(definition.name, {})

    async def _live(self, opened: "asyncio.Future[None]") -> None:
        async with AsyncExitStack() as stack:
            try:
                values = await self._open(stack)
            except Exception as error:  # noqa: BLE001 - it is raised where `start` waits
                _answer(opened, error)
                return
            finally:
                self._opening = False
            self._arguments = {
                kind: {name: values[opener] for name, opener in openers.items()}
                for kind, openers in self._wanted.items()
            }
            _answer(opened, None)
            await self._closing.wait()

    async def _open(self, stack: AsyncExitStack) -> dict[Opener, Any]:
        values = dict(self._given)
        for opener in (each for openers in self._wanted.values() for each in openers.values()):
            if opener not in values:
                values[opener] = await _entered(opener, stack)
        return values


async def _entered(opener: Opener, stack: AsyncExitStack) -> Any:
    try:
        manager = _manager(opener)
        if isinstance(manager, AbstractAsyncContextManager):
            value = await manager.__aenter__()
        else:
            value = manager.__enter__()
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise ConfigurationError(
            f"resource {_name(opener)}: opening it failed: {reason}"
        ) from error
    stack.push_async_callback(_leave, opener, manager)
    return value


async def _leave(
    opener: Opener, manager: AbstractAsyncContextManager[Any] | AbstractContextManager[Any]
) -> None:
    """Close one. What fails here is no other's concern: nothing of it is thrown into them."""
    try:
        if isinstance(manager, AbstractAsyncContextManager):
            await manager.__aexit__(None, None, None)
        else:
            manager.__exit__(None, None, None)
    except Exception:
        log.exception("resource %s: closing it failed", _name(opener))


def _manager(opener: Opener) -> AbstractAsyncContextManager[Any] | AbstractContextManager[Any]:
    make: Callable[[], Any] = opener
    if inspect.isasyncgenfunction(opener):
        make = asynccontextmanager(opener)
    elif inspect.isgeneratorfunction(opener):
        make = contextmanager(opener)
    manager = make()
    if isinstance(manager, AbstractAsyncContextManager | AbstractContextManager):
        return manager  # pyright: ignore[reportUnknownVariableType] - of anything
    kind = type(manager).__name__
    raise TypeError(f"must be a generator function or return a context manager (returned {kind})")


def _name(opener: Opener) -> str:
    return name_of(opener) if hasattr(opener, "__qualname__") else repr(opener)


def _answer(opened: "asyncio.Future[None]", error: Exception | None) -> None:
    if opened.done():
        return
    if error is None:
        opened.set_result(None)
    else:
        opened.set_exception(error)
