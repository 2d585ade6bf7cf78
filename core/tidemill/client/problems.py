"""The HTTP API's problems as the errors that a client of the database would raise."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from tidemill import errors
from tidemill.errors import Fault, TidemillError

_PREFIX: Final = "urn:tidemill:problem:"
_REFUSED: Final = (401, 403)
_SERVER: Final = 500

_BUSY: Final = {
    "queue-full": errors.QueueFull,
    "overloaded": errors.Overloaded,
    "rate-limited": errors.RateLimited,
}
_OF_KIND: Final[Mapping[str, Callable[[str], TidemillError]]] = {
    "task-not-found": errors.TaskNotFound,
    "not-found": errors.NotFound,
    "no-such-path": errors.NotFound,
    "request-timeout": errors.ApiUnavailable,
    "idempotency-conflict": errors.IdempotencyConflict,
    "conflict": errors.Conflict,
    "database-unavailable": errors.DatabaseUnavailable,
    "outcome-unknown": errors.OutcomeUnknown,
    "database-refused": errors.DatabaseRefused,
    "schema-mismatch": errors.SchemaMismatch,
}


def is_ours(problem: Mapping[str, Any]) -> bool:
    """Whether a body is a problem of a Tidemill API, and not of something in between."""
    return str(problem.get("type", "")).startswith(_PREFIX)


def error_of(status: int, problem: Mapping[str, Any], wait: float) -> TidemillError:
    """Return the error that an answer stands for; `wait` is what its Retry-After says (seconds)."""
    kind = str(problem.get("type", "")).removeprefix(_PREFIX)
    detail = str(problem.get("detail") or "what answers there is no Tidemill API")
    if kind in _BUSY:
        return _BUSY[kind](detail, retry_after=wait)
    if kind in _OF_KIND:
        return _OF_KIND[kind](detail)
    if status in _REFUSED:
        return errors.ApiRefused(detail)
    if status >= _SERVER or not kind:  # not kind: something in between, or no Tidemill at all
        told = detail if not kind else f"{detail} (status {status})"
        return errors.ApiUnavailable(told)
    invalid = errors.UnknownType if kind == "unknown-type" else errors.InvalidTask
    return invalid(*_faults(problem, detail))


def _faults(problem: Mapping[str, Any], detail: str) -> list[Fault]:
    given: list[Mapping[str, Any]] = problem.get("faults") or []
    found = [
        Fault(str(each.get("field")), str(each.get("rule")), each.get("value")) for each in given
    ]
    return found or [Fault("request", detail)]
