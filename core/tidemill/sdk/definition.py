"""A task type as an app declares it: a handler, its payload, its defaults, how to enqueue it."""

import inspect
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, TypeVar, cast

from tidemill.errors import ConfigurationError
from tidemill.models import NewTask, TaskType, queue_name_pattern, type_name_pattern
from tidemill.retry import RetryPolicy
from tidemill.sdk.options import check, exceptions, matching, retry, seconds, within
from tidemill.sdk.payload import PayloadCodec
from tidemill.sdk.results import ResultCodec
from tidemill.sdk.sending import Gate, Sender
from tidemill.sdk.signature import name_of

P = ParamSpec("P")
R = TypeVar("R")

Isolation = Literal["process"]


class RunMode(StrEnum):
    """Where a handler runs."""

    LOOP = "loop"  # a coroutine, on the worker's event loop
    THREAD = "thread"  # a plain function: a thread, which nothing can end
    PROCESS = "process"  # isolation="process": a child process, which a timeout kills


@dataclass(frozen=True, slots=True, kw_only=True)
class Placing:
    """How a worker runs a type's handlers. None = no bound of its own.

    `concurrency` is within one worker process; `max_memory_mb` (10^6 bytes) is for child processes:
    one that holds more is killed.
    """

    isolation: Isolation | None = None
    concurrency: int | None = None
    max_memory_mb: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDefaults:
    """What tasks of a type get when the producer says nothing. None = the queue's default."""

    queue: str | None = None
    priority: int | None = None
    max_retries: int | None = None
    timeout_seconds: float | None = None
    retry: RetryPolicy | None = None
    retry_on: tuple[type[BaseException], ...] = ()
    discard_on: tuple[type[BaseException], ...] = ()


class TaskDefinition(Sender[R], Generic[P, R]):
    """A handler registered with an `App`. Calling it calls the function: tests need no queue.

    R is what the handler returns, of a coroutine function what it returns when awaited.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        name: str | None,
        defaults: TaskDefaults,
        placing: Placing,
        gate: Gate,
    ) -> None:
        """Check the handler and its options; ConfigurationError names what cannot work."""
        _check_function(function)
        self.function = function
        self.name = name or function.__name__
        self.defaults = defaults
        _check_defaults(self.name, defaults)
        self.placing = placing
        _check_placing(self.name, placing)
        self.codec = PayloadCodec(function)
        self.is_async = inspect.iscoroutinefunction(function)
        self.mode = _mode(placing, is_async=self.is_async)
        self.wants_context = self.codec.signature.wants_context
        self.resources = self.codec.signature.resources
        self.__doc__ = function.__doc__
        super().__init__(self._fill, gate, cast("Callable[[Any], R]", ResultCodec(function).decode))

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Call the handler here and now."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        """Return the name and the function."""
        return f"<task {self.name}: {name_of(self.function)}>"

    def type(self) -> TaskType:
        """Return what is registered of this task type."""
        doc = inspect.getdoc(self.function)
        return TaskType(
            name=self.name,
            schema=self.codec.schema,
            queue=self.defaults.queue,
            priority=self.defaults.priority,
            max_retries=self.defaults.max_retries,
            timeout_seconds=self.defaults.timeout_seconds,
            retry=self.defaults.retry,
            description=doc.splitlines()[0] if doc else None,
        )

    def _fill(self, payload: dict[str, Any]) -> NewTask:
        return NewTask(
            type=self.name,
            payload=self.codec.encode(payload),
            # given with each task: the type may not be registered yet
            queue=self.defaults.queue,
            priority=self.defaults.priority,
            max_retries=self.defaults.max_retries,
            timeout_seconds=self.defaults.timeout_seconds,
            retry=self.defaults.retry,
        )


class PlainTask(TaskDefinition[P, R]):
    """The task type of a plain function, as type checkers see it."""

    if TYPE_CHECKING:

        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...


class CoroutineTask(TaskDefinition[P, R]):
    """The task type of a coroutine function, as type checkers see it."""

    if TYPE_CHECKING:

        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]: ...


def _check_function(function: Callable[..., Any]) -> None:
    if not inspect.isfunction(function):
        raise ConfigurationError(f"a task must be a function (got {function!r})")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigurationError(f"{name_of(function)}: a task must return, not yield")


def _check_defaults(name: str, defaults: TaskDefaults) -> None:
    check("a task", [matching("name", name, type_name_pattern, needed=True)])
    rules = (
        matching("queue", defaults.queue, queue_name_pattern),
        within("priority", defaults.priority, -32768, 32767),
        within("max_retries", defaults.max_retries, 0, 1000),
        seconds("timeout_seconds", defaults.timeout_seconds),
        *retry(defaults.retry),
        exceptions("retry_on", defaults.retry_on),
        exceptions("discard_on", defaults.discard_on),
    )
    check(f"task {name!r}", rules)


def _check_placing(name: str, placing: Placing) -> None:
    one_of = placing.isolation in (None, "process")
    rules = (
        ("isolation", placing.isolation, one_of, 'must be "process" or left out'),
        within("concurrency", placing.concurrency, 1, 10_000),
        within("max_memory_mb", placing.max_memory_mb, 16, 1_000_000),
    )
    check(f"task {name!r}", rules)
    if placing.max_memory_mb is not None and placing.isolation is None:
        raise ConfigurationError(
            f"task {name!r}: max_memory_mb must go with isolation='process': "
            "a worker process has no memory bound for one of its tasks"
        )


def _mode(placing: Placing, *, is_async: bool) -> RunMode:
    if placing.isolation == "process":
        return RunMode.PROCESS
    return RunMode.LOOP if is_async else RunMode.THREAD
