"""From a claimed task to the `Finish` that records its end: decode, run, conclude."""

import logging
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic_core import PydanticSerializationError, to_jsonable_python

from tidemill.errors import InvalidTask
from tidemill.models import ClaimedTask, Finish
from tidemill.sdk.context import Context
from tidemill.sdk.definition import TaskDefinition
from tidemill_worker.conclude import Ended, Unstorable, conclude, fail, snooze
from tidemill_worker.run import Run
from tidemill_worker.stepping import first_step
from tidemill_worker.threads import Threads
from tidemill_worker.watch import Watch

UNKNOWN_TYPE_SECONDS = (1.0, 30.0)
"""A task of a type that this worker lacks comes back after a time in this range: by then another
worker, or this one's newer version, may be there (a rolling deploy)."""

log = logging.getLogger("tidemill.worker")

Definition = TaskDefinition[..., Any]


@dataclass(frozen=True, slots=True)
class Call:
    """A handler and its decoded arguments."""

    definition: Definition
    arguments: dict[str, Any]
    context: Context | None


class Executor:
    """Runs one claimed task after the other; every way through ends in a value."""

    def __init__(self, definitions: Mapping[str, Definition], watch: Watch) -> None:
        """Run the handlers of `definitions`; `watch` sees to their timeouts."""
        self._definitions = definitions
        self._watch = watch
        self._threads = Threads()

    async def execute(self, run: Run) -> Finish | None:
        """Run the task to its end. None: its lease is lost, nothing may be recorded."""
        call = self._prepare(run.task)
        if isinstance(call, Finish):
            return call
        run.context = call.context
        run.start(time.monotonic())
        ended = await self._run(call, run)
        if ended.value is not None:
            ended = _storable(ended)
        return conclude(
            run.task,
            ended,
            reason=run.stop_reason,
            seconds=run.seconds(),
            defaults=call.definition.defaults,
        )

    def close(self) -> None:
        """Let go of the threads."""
        self._threads.close()

    def _prepare(self, task: ClaimedTask) -> Call | Finish:
        definition = self._definitions.get(task.type)
        if definition is None:
            log.warning(
                "no handler for type %s: given back", task.type, extra={"task": str(task.id)}
            )
            return snooze(task, random.uniform(*UNKNOWN_TYPE_SECONDS))
        try:
            arguments = definition.codec.decode(task.payload)
        except InvalidTask as error:
            return fail(task, error, seconds=0.0, final=True)
        return Call(definition, arguments, _context(task) if definition.wants_context else None)

    async def _run(self, call: Call, run: Run) -> Ended:
        function = call.definition.function
        arguments = () if call.context is None else (call.context,)
        if not call.definition.is_async:
            return await self._run_in_thread(partial(function, *arguments, **call.arguments), run)
        ended = first_step(function(*arguments, **call.arguments))
        if isinstance(ended, Ended):
            return ended
        with self._watch.coroutine(run):
            return await ended.ended()

    async def _run_in_thread(self, handler: partial[Any], run: Run) -> Ended:
        """Run a plain function. Nothing can stop it: the watch records its timeout, it goes on."""
        with self._watch.thread(run):
            try:
                return Ended(value=await self._threads.run(handler))
            except (KeyboardInterrupt, GeneratorExit):
                raise
            except BaseException as error:  # noqa: BLE001 - what it means is decided in `conclude`
                return Ended(error=error)


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
