"""From a claimed task to the `Finish` that records its end: decode, run, conclude."""

import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic_core import PydanticSerializationError, to_jsonable_python

from tidemill.errors import InvalidTask
from tidemill.models import ClaimedTask, Finish
from tidemill.sdk.context import Context
from tidemill.sdk.definition import TaskDefinition
from tidemill_worker.conclude import Ended, Unstorable, conclude, fail
from tidemill_worker.run import Run
from tidemill_worker.stepping import Suspended, first_step
from tidemill_worker.threads import Threads
from tidemill_worker.watch import Watch

Definition = TaskDefinition[..., Any]
Unknown = Callable[[ClaimedTask], Coroutine[Any, Any, Finish]]


@dataclass(frozen=True, slots=True)
class Call:
    """A handler and its decoded arguments."""

    definition: Definition
    arguments: dict[str, Any]
    context: Context | None


@dataclass(frozen=True, slots=True)
class Pending:
    """A task whose end is to be awaited: its handler waits, or runs in a thread."""

    end: Coroutine[Any, Any, Finish | None]


class Executor:
    """Runs one claimed task after the other; every way through ends in a value."""

    def __init__(
        self, definitions: Mapping[str, Definition], watch: Watch, unknown: Unknown
    ) -> None:
        """Run the handlers of `definitions`; `watch` sees to their timeouts.

        `unknown` ends the attempts of tasks that have no handler there.
        """
        self._definitions = definitions
        self._unknown = unknown
        self._watch = watch
        self._threads = Threads()

    def begin(self, run: Run) -> Finish | Pending | None:
        """Run the task up to where its handler first waits.

        Returns its end; or what to await for it; or None when its lease is lost.
        """
        call = self._prepare(run.task)
        if not isinstance(call, Call):
            return call
        run.context = call.context
        run.start(time.monotonic())
        arguments = () if call.context is None else (call.context,)
        definition = call.definition
        if not definition.is_async:
            handler = partial(definition.function, *arguments, **call.arguments)
            return Pending(_finished(run, self._in_thread(handler, run), definition))
        ended = first_step(definition.function(*arguments, **call.arguments))
        if isinstance(ended, Suspended):
            return Pending(_finished(run, self._go_on(ended, run), definition))
        return _finish(run, ended, definition)

    def close(self) -> None:
        """Let go of the threads."""
        self._threads.close()

    def _prepare(self, task: ClaimedTask) -> Call | Finish | Pending:
        definition = self._definitions.get(task.type)
        if definition is None:
            return Pending(self._unknown(task))
        try:
            arguments = definition.codec.decode(task.payload)
        except InvalidTask as error:
            return fail(task, error, seconds=0.0, final=True)
        except Exception as error:  # noqa: BLE001 - a validator of the user's own; it may raise anything
            return fail(task, error, seconds=0.0, defaults=definition.defaults)
        return Call(definition, arguments, _context(task) if definition.wants_context else None)

    async def _go_on(self, handler: Suspended, run: Run) -> Ended:
        with self._watch.coroutine(run):
            return await handler.ended()

    async def _in_thread(self, handler: partial[Any], run: Run) -> Ended:
        """Run a plain function. Nothing can stop it: the watch records its timeout, it goes on."""
        with self._watch.thread(run):
            try:
                return Ended(value=await self._threads.run(handler))
            except (KeyboardInterrupt, GeneratorExit):
                raise
            except BaseException as error:  # noqa: BLE001 - what it means is decided in `conclude`
                return Ended(error=error)


async def _finished(run: Run, ended: Awaitable[Ended], definition: Definition) -> Finish | None:
    return _finish(run, await ended, definition)


def _finish(run: Run, ended: Ended, definition: Definition) -> Finish | None:
    if ended.value is not None:
        ended = _storable(ended)
    return conclude(
        run.task,
        ended,
        reason=run.stop_reason,
        seconds=run.seconds(),
        defaults=definition.defaults,
    )


def _context(task: ClaimedTask) -> Context:
    return Context(
        id=task.id,
        type=task.type,
        queue=task.queue,
        attempt=task.attempt,
        max_retries=task.max_retries,
        timeout_seconds=task.timeout_seconds,
        headers=task.headers or {},
    )


def _storable(ended: Ended) -> Ended:
    """Turn the result into plain JSON values, or into the error that says why it cannot be."""
    try:
        return Ended(value=to_jsonable_python(ended.value, inf_nan_mode="null"))
    except (PydanticSerializationError, ValueError) as error:
        return Ended(error=Unstorable(f"the result cannot be stored as JSON: {error}"))
