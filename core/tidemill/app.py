"""What a user imports: `App` collects task types, `load_app` finds an app by its reference."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType, ModuleType
from typing import Any, ParamSpec, Protocol, TypeVar, overload

from tidemill import redaction
from tidemill.client.base import Producer
from tidemill.client.outlet import Outlet
from tidemill.errors import ConfigurationError, InvalidTask
from tidemill.models import TaskType
from tidemill.redaction import Redact
from tidemill.retry import RetryPolicy
from tidemill.schedules import Missed, NewSchedule
from tidemill.sdk.declaring import check_schedule
from tidemill.sdk.definition import (
    CoroutineTask,
    Isolation,
    Placing,
    PlainTask,
    TaskDefaults,
    TaskDefinition,
)
from tidemill.sdk.middleware import Middleware
from tidemill.sdk.options import check, each_of, of_kind
from tidemill.sdk.reference import canonical, imported
from tidemill.sdk.sending import priority_of
from tidemill.settings import Settings
from tidemill.store.schedule_rules import faults

P = ParamSpec("P")
R = TypeVar("R")


class Declare(Protocol):
    """What `@app.task(…)` applies to a function."""

    @overload
    def __call__(  # type: ignore[overload-overlap] # of both that fit the first counts
        self, function: Callable[P, Coroutine[Any, Any, R]], /
    ) -> CoroutineTask[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> PlainTask[P, R]: ...


class App(Outlet):
    """A set of task types, and the clients that enqueue their tasks."""

    def __init__(
        self,
        *,
        settings: Settings | None = None,
        middleware: Sequence[Middleware] = (),
        redact: Redact | None = None,
        client: Producer | None = None,
    ) -> None:
        """Start without task types. The first of `middleware` is outermost.

        Tasks are enqueued through `client`; without one into the database of `settings`, or of the
        environment.
        `redact` takes secrets out of recorded errors and log lines, after the built-in rules.
        """
        _check_app(settings, middleware, redact, client)
        if redact is not None:
            redaction.process.add(redact)
        super().__init__(settings, middleware, client)
        self._tasks: dict[str, TaskDefinition[..., Any]] = {}
        self._schedules: dict[str, NewSchedule] = {}

    @overload
    def task(  # type: ignore[overload-overlap] # as above
        self, function: Callable[P, Coroutine[Any, Any, R]], /
    ) -> CoroutineTask[P, R]: ...

    @overload
    def task(self, function: Callable[P, R], /) -> PlainTask[P, R]: ...

    @overload
    def task(
        self,
        function: None = None,
        /,
        *,
        name: str | None = None,
        queue: str | None = None,
        priority: int | str | None = None,
        max_retries: int | None = None,
        timeout_seconds: float | None = None,
        retry: RetryPolicy | None = None,
        retry_on: tuple[type[BaseException], ...] = (),
        discard_on: tuple[type[BaseException], ...] = (),
        isolation: Isolation | None = None,
        concurrency: int | None = None,
        max_memory_mb: int | None = None,
    ) -> Declare: ...

    def task(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        name: str | None = None,
        queue: str | None = None,
        priority: int | str | None = None,
        max_retries: int | None = None,
        timeout_seconds: float | None = None,
        retry: RetryPolicy | None = None,
        retry_on: tuple[type[BaseException], ...] = (),
        discard_on: tuple[type[BaseException], ...] = (),
        isolation: Isolation | None = None,
        concurrency: int | None = None,
        max_memory_mb: int | None = None,
    ) -> Any:
        """Declare a task type: `@app.task` or `@app.task(queue=…, timeout_seconds=…)`.

        The payload's fields are the function's parameters, decoded by their type hints; `**extra`
        allows more fields; the worker fills in a first parameter annotated `Context`, and those
        annotated with a `Resource`.
        `retry_on`: only these exceptions are retried. `discard_on`: these fail the task for good.
        `isolation="process"`: runs in a child process, which is killed at its timeout, and when it
        holds more than `max_memory_mb` (10^6 bytes). `concurrency`: most at once in one worker.
        """
        defaults = TaskDefaults(
            queue=queue,
            priority=_priority(priority),
            max_retries=max_retries,
            timeout_seconds=timeout_seconds,
            retry=retry,
            retry_on=retry_on,
            discard_on=discard_on,
        )
        placing = Placing(isolation=isolation, concurrency=concurrency, max_memory_mb=max_memory_mb)

        def declare(handler: Callable[..., Any]) -> TaskDefinition[..., Any]:
            return self._add(TaskDefinition(handler, name, defaults, placing, self))

        return declare if function is None else declare(function)

    def schedule(
        self,
        name: str,
        *,
        cron: str,
        task: TaskDefinition[..., Any] | str,
        time_zone: str = "UTC",
        payload: dict[str, Any] | None = None,
        queue: str | None = None,
        priority: int | str | None = None,
        max_retries: int | None = None,
        timeout_seconds: float | None = None,
        retry: RetryPolicy | None = None,
        headers: dict[str, str] | None = None,
        missed: Missed = "once",
        ends_at: datetime | None = None,
    ) -> None:
        """Declare a cron schedule of `task` (or of a type by its name), stored with the task types.

        `missed`: of slots that nobody was there for the latest fires (`once`), or none (`skip`).
        Raises ConfigurationError naming every broken rule.
        """
        check_schedule(name, task, cron, time_zone, ends_at, payload, queue, retry, headers)
        declared = NewSchedule(
            name=name,
            cron=cron,
            time_zone=time_zone,
            type=task if isinstance(task, str) else task.name,
            payload=_payload(name, task, payload or {}),
            queue=queue,
            priority=_priority(priority),
            max_retries=max_retries,
            timeout_seconds=timeout_seconds,
            retry=retry,
            headers=headers,
            missed=missed,
            ends_at=ends_at,
        )
        if found := faults(declared):
            raise ConfigurationError(f"schedule {name!r}: {'; '.join(map(str, found))}")
        if name in self._schedules:
            raise ConfigurationError(f"schedule name {name!r} must be unique")
        self._schedules[name] = declared

    @property
    def schedules(self) -> list[NewSchedule]:
        """The declared cron schedules."""
        return list(self._schedules.values())

    @property
    def tasks(self) -> Mapping[str, TaskDefinition[..., Any]]:
        """The declared task types by name."""
        return MappingProxyType(self._tasks)

    def types(self) -> list[TaskType]:
        """Return what is registered of each task type."""
        return [each.type() for each in self._tasks.values()]

    def _add(self, definition: TaskDefinition[..., Any]) -> TaskDefinition[..., Any]:
        if definition.name in self._tasks:
            known = self._tasks[definition.name]
            raise ConfigurationError(
                f"task name {definition.name!r} must be unique: {known!r} has it already"
            )
        self._tasks[definition.name] = definition
        return definition


def load_app(reference: str) -> App:
    """Return the app at `module:attribute`, looked for in the current directory too.

    `module` alone and the path of its file name its `app`.
    Raises ConfigurationError, in one line, for a malformed reference, a module that is missing or
    fails to import, a missing attribute, or one that is not an App. What the module itself raised
    is its cause, with the user's traceback as a note.
    """
    reference = canonical(reference)
    module_name, _, attribute = reference.partition(":")
    target: Any = imported(module_name, reference)
    for part in attribute.split("."):
        if not hasattr(target, part):
            raise ConfigurationError(
                f"app {reference}: {module_name} has no {attribute!r}{_meant(target)}"
            )
        target = getattr(target, part)
    if not isinstance(target, App):
        kind = type(target).__name__
        raise ConfigurationError(f"app {reference}: must be a tidemill.App (got {kind})")
    return target


def _meant(target: object) -> str:
    """Return the names of the apps that a module has, for messages."""
    if not isinstance(target, ModuleType):
        return ""
    names = [name for name, value in vars(target).items() if isinstance(value, App)]
    return f" (it has the app {', '.join(names)})" if names else ""


def _check_app(settings: Any, middleware: Any, redact: Any, client: Any) -> None:
    rules = (
        of_kind("settings", settings, Settings, "a tidemill.settings.Settings"),
        each_of("middleware", middleware, _is_middleware, "a list of Middleware objects"),
        ("redact", redact, redact is None or callable(redact), "must be a function of a text"),
        of_kind("client", client, Producer, "a Client or an HttpClient"),
    )
    check("App", rules)


def _is_middleware(value: Any) -> bool:
    return isinstance(value, Middleware)


def _payload(
    schedule: str, task: TaskDefinition[..., Any] | str, payload: dict[str, Any]
) -> dict[str, Any]:
    if isinstance(task, str):
        return payload
    try:
        encoded: dict[str, Any] = task.codec.encode(payload)
    except InvalidTask as error:
        raise ConfigurationError(f"schedule {schedule!r}: {error}") from None
    return encoded


def _priority(value: int | str | None) -> int | None:
    try:
        return priority_of(value) if isinstance(value, str) else value
    except InvalidTask as error:
        (fault,) = error.faults
        raise ConfigurationError(f"priority {fault.rule} (got {value!r})") from None
