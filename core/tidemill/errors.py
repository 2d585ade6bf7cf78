"""Every error that Tidemill raises on purpose, in one tree.

    TidemillError
    ├── ConfigurationError      a setting, an app reference or a command line that cannot work
    ├── InvalidTask             a task that breaks a rule; carries one `Fault` for each broken rule
    │   └── UnknownType         its type is not registered, and types are enforced
    ├── InvalidSchedule         a schedule that breaks a rule; carries one `Fault` for each
    ├── NotFound
    │   ├── TaskNotFound
    │   └── QueueNotFound
    ├── Conflict                the thing exists, but is not in a state that allows the act
    │   ├── IdempotencyConflict
    │   └── StaleTerm           another operator has acted in a later term; nothing was done
    ├── QueueFull               `max_depth` reached; try again after `retry_after` seconds
    ├── Overloaded              this process has as much waiting as it takes; try again
    │   └── RateLimited         the API's token is past its rate; nothing was done; try again
    ├── NoResult                what `handle.result()` raises of a task that ended without one
    │   ├── TaskFailed          carries the error's type, message and traceback, and the attempts
    │   ├── TaskCancelled       it was cancelled, or had expired before it could start
    │   └── InvalidResult       its result is not what the handler's type hint says
    ├── DatabaseUnavailable     the database cannot be reached or ended the session; try again
    │   └── OutcomeUnknown      it went away before it said whether the tasks are stored
    ├── DatabaseRefused         the database refused us: wrong role, password or database
    ├── ApiUnavailable          the HTTP API cannot be reached or did not answer; try again
    ├── ApiRefused              the HTTP API refused us: a token that is wrong or may not do this
    └── SchemaMismatch          this code and the database's schema do not fit

Errors of other libraries (asyncpg, kubernetes) are translated once, at the edge (`tidemill.db`).
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID


class TidemillError(Exception):
    """Base of all errors raised on purpose."""


class ConfigurationError(TidemillError):
    """A setting or reference that cannot work; the message names it, the rule and the value."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One broken rule: where (`payload.to`; of many `tasks[3].payload.to`), which, and by what."""

    field: str
    rule: str
    value: object = None

    def __str__(self) -> str:
        """Return the fault as a sentence part."""
        shown = "" if self.value is None else f" (got {_shortened(self.value)})"
        return f"{self.field}: {self.rule}{shown}"


class InvalidTask(TidemillError):
    """A task that breaks one or more rules; nothing of its batch was stored."""

    def __init__(self, *faults: Fault) -> None:
        """Keep `faults` in the order found."""
        super().__init__("; ".join(str(fault) for fault in faults))
        self.faults = faults


class UnknownType(InvalidTask):
    """The task's type is not registered and unknown types are rejected."""


class InvalidSchedule(TidemillError):
    """A schedule that breaks one or more rules; nothing of it was stored."""

    def __init__(self, *faults: Fault) -> None:
        """Keep `faults` in the order found."""
        super().__init__("; ".join(str(fault) for fault in faults))
        self.faults = faults


class NotFound(TidemillError):
    """The thing that was named does not exist."""


class TaskNotFound(NotFound):
    """No task has this id (or it was removed by retention)."""


class QueueNotFound(NotFound):
    """No queue has this name."""


class Conflict(TidemillError):
    """The thing exists, but is not in a state that allows the act."""


class IdempotencyConflict(Conflict):
    """The key was used in this queue for a task of another type or payload."""


class StaleTerm(Conflict):
    """Another operator has acted in a later term than ours: `term`. Nothing was done."""

    def __init__(self, term: int) -> None:
        """Keep the later term."""
        super().__init__(f"another operator has acted since, in term {term}")
        self.term = term


class QueueFull(TidemillError):
    """The queue holds `max_depth` tasks already."""

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        """Keep `retry_after` in seconds."""
        super().__init__(message)
        self.retry_after = retry_after


class Overloaded(TidemillError):
    """As much work waits in this process as it takes on; try again after `retry_after` seconds."""

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        """Keep `retry_after` in seconds."""
        super().__init__(message)
        self.retry_after = retry_after


class RateLimited(Overloaded):
    """The token is past its rate of requests; nothing was done. See `retry_after` (seconds)."""


class NoResult(TidemillError):
    """The task that was waited for has ended without a result to return."""


class TaskFailed(NoResult):
    """The task failed for good: its error is the last attempt's."""

    def __init__(self, task_id: UUID, error: dict[str, Any], *, attempts: int) -> None:
        """Keep the error as it was recorded, in parts."""
        self.task_id = task_id
        self.type = str(error.get("type") or "Error")
        self.message = str(error.get("message") or "")
        self.traceback = str(error.get("traceback") or "")
        self.attempts = attempts
        times = "1 attempt" if attempts == 1 else f"{attempts} attempts"
        said = f"{self.type}: {self.message}" if self.message else self.type
        super().__init__(f"task {task_id} failed after {times}: {said}")


class TaskCancelled(NoResult):
    """The task was cancelled, or had expired before it could start."""

    def __init__(self, task_id: UUID) -> None:
        """Keep the task's id."""
        self.task_id = task_id
        super().__init__(f"task {task_id} was cancelled")


class InvalidResult(NoResult):
    """The task succeeded with a result that is not what its handler's type hint says."""


class ApiUnavailable(TidemillError):
    """The HTTP API cannot be reached, or gave no answer; the same call may work later.

    When it was raised by a call that writes, the outcome is unknown: it may have been done.
    """


class ApiRefused(TidemillError):
    """The HTTP API answered and refused: no token, a wrong one, or one that may not do this."""


class DatabaseUnavailable(TidemillError):
    """The database cannot be reached, or ended the session; the same call may work later.

    When it was raised by a statement that writes, the outcome is unknown: it may have committed.
    An enqueue raises OutcomeUnknown then.
    """


class OutcomeUnknown(DatabaseUnavailable):
    """The session ended while the database was at an enqueue: it may be stored, or not.

    Sent again with its idempotency keys it is stored once.
    """


class DatabaseRefused(TidemillError):
    """The database answered and refused: wrong password, missing role, database or privilege."""


class SchemaMismatch(TidemillError):
    """The database's schema is too old or too new for this code; the message names both."""


def _shortened(value: object, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
