"""From a claimed task to the `Finish` that records its end: decode, run, conclude."""

import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from tidemill.app import App
from tidemill.errors import InvalidTask
from tidemill.models import ClaimedTask, Finish
from tidemill.sdk.context import Context
from tidemill.sdk.definition import RunMode, TaskDefinition
from tidemill.sdk.middleware import Call, Middleware
from tidemill.sdk.resources import Opener
from tidemill.store.rules import MAX_PAYLOAD_BYTES
from tidemill_worker.around import Around, around
from tidemill_worker.conclude import Ended, Unstorable, conclude, fail, storable
from tidemill_worker.ledger import Ledger
from tidemill_worker.links import Links
from tidemill_worker.resources import Resources
from tidemill_worker.run import Run
from tidemill_worker.stepping import Suspended, first_step
from tidemill_worker.threads import Threads
from tidemill_worker.watch import Watch

Definition = TaskDefinition[..., Any]
Unknown = Callable[[ClaimedTask], Coroutine[Any, Any, Finish]]


class Children(Protocol):
    """Runs handlers in child processes."""

    async def run(self, definition: Definition, run: Run, context: Context) -> Ended:
        """Run the task in a child; when cancelled, end what the child does and return."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What handlers run in, beside their payload."""

    links: Links = field(default_factory=lambda: Links(Ledger()))
    middleware: Sequence[Middleware] = ()
    resources: Resources = field(default_factory=Resources)
    children: Children | None = None
    max_result_bytes: int = MAX_PAYLOAD_BYTES

    @classmethod
    def of(
        cls,
        app: App,
        ledger: Ledger,
        *,
        given: Mapping[Opener, Any] | None = None,
        children: Children | None = None,
        max_result_bytes: int = MAX_PAYLOAD_BYTES,
    ) -> "Surroundings":
        """Return those of an app's handlers; `given` resources are used as they are."""
        here = [each for each in app.tasks.values() if each.mode is not RunMode.PROCESS]
        resources = Resources(here, given)
        return cls(Links(ledger), app.middleware, resources, children, max_result_bytes)


@dataclass(frozen=True, slots=True)
class Pending:
    """A task whose end is to be awaited: its handler waits, or runs elsewhere."""

    end: Coroutine[Any, Any, Finish | None]


class Executor:
    """Runs one claimed task after the other; every way through ends in a value."""

    def __init__(
        self,
        definitions: Mapping[str, Definition],
        watch: Watch,
        unknown: Unknown,
        surroundings: Surroundings,
    ) -> None:
        """Run the handlers of `definitions`; `watch` sees to their timeouts.

        `unknown` ends the attempts of tasks that have no handler there.
        """
        self._definitions = definitions
        self._unknown = unknown
        self._watch = watch
        self._links = surroundings.links
        self._around = around(surroundings.middleware)
        self._resources = surroundings.resources
        self._children = surroundings.children
        self._max_result_bytes = surroundings.max_result_bytes
        self._threads = Threads()

    def begin(self, run: Run) -> Finish | Pending | None:
        """Run the task up to where its handler first waits.

        Returns its end; or what to await for it; or None when its lease is lost.
        """
        definition = self._definitions.get(run.task.type)
        if definition is None:
            return Pending(self._unknown(run.task))
        arguments = self._decode(run.task, definition)
        if not isinstance(arguments, dict):
            return arguments
        run.start(time.monotonic())
        context = run.context = self._context(run)
        call = self._call(definition, run, context, arguments)
        handler = call() if self._around is None else _surrounded(self._around, context, call)
        ended = first_step(handler, context)
        if isinstance(ended, Suspended):
            return Pending(self._finished(ended, run, definition))
        return self._finish(run, ended, definition)

    def close(self) -> None:
        """Let go of the threads."""
        self._threads.close()

    def _decode(self, task: ClaimedTask, definition: Definition) -> dict[str, Any] | Finish:
        try:
            arguments = definition.codec.decode(task.payload)
        except InvalidTask as error:
            return fail(task, error.with_traceback(None), seconds=0.0, final=True)
        except Exception as error:  # noqa: BLE001 - a validator of the user's own; it may raise anything
            return fail(task, error, seconds=0.0, defaults=definition.defaults)
        if definition.resources:
            arguments.update(self._resources.of(definition))
        return arguments

    def _call(
        self, definition: Definition, run: Run, context: Context, arguments: dict[str, Any]
    ) -> Callable[[], Coroutine[Any, Any, Any]]:
        """Return what makes the coroutine that is the handler's run, in whatever mode."""
        if definition.mode is RunMode.PROCESS:
            return partial(self._in_child, definition, run, context)
        given = (context,) if definition.wants_context else ()
        handler = partial(definition.function, *given, **arguments)
        if definition.mode is RunMode.LOOP:
            return handler
        return partial(self._in_thread, handler, run)

    async def _in_thread(self, handler: partial[Any], run: Run) -> Any:
        """Run a plain function. Nothing can stop it: the watch records its timeout, it goes on."""
        run.in_thread = True
        try:
            return await self._threads.run(handler)
        finally:
            run.in_thread = False

    async def _in_child(self, definition: Definition, run: Run, context: Context) -> Any:
        if self._children is None:
            raise RuntimeError("there are no child processes here")
        ended = await self._children.run(definition, run, context)
        if ended.error is not None:
            raise ended.error
        return ended.value

    async def _finished(
        self, handler: Suspended, run: Run, definition: Definition
    ) -> Finish | None:
        with self._watch.over(run):
            ended = await handler.ended()
        return self._finish(run, ended, definition)

    def _finish(self, run: Run, ended: Ended, definition: Definition) -> Finish | None:
        if ended.value is not None:
            ended = _stored(ended, self._max_result_bytes)
        return conclude(
            run.task,
            ended,
            reason=run.stop_reason,
            seconds=run.seconds(),
            defaults=definition.defaults,
        )

    def _context(self, run: Run) -> Context:
        task = run.task
        return Context(
            id=task.id,
            type=task.type,
            queue=task.queue,
            attempt=task.attempt,
            max_retries=task.max_retries,
            timeout_seconds=task.timeout_seconds,
            headers=task.headers or {},
            deadline=run.timeout_at,
            link=self._links.of(task),
        )


async def _surrounded(around: Around, context: Context, call: Call) -> Any:
    return await around(context, call)


def _stored(ended: Ended, most_bytes: int) -> Ended:
    """Turn the result into plain JSON values, or into the error that says why it cannot be."""
    try:
        return Ended(value=storable(ended.value, most_bytes))
    except Unstorable as error:
        return Ended(error=error.with_traceback(None))
