"""Errors as `application/problem+json` (RFC 9457), each fault with its field, rule and value.

One table says what each error of core means in HTTP; anything not in it is a 500 that tells the
client nothing but the request id under which the log tells everything.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from tidemill import errors
from tidemill.errors import Fault
from tidemill_api.encoding import encoded
from tidemill_api.strictjson import BadJson

PROBLEM_JSON: Final = "application/problem+json"
RETRY_SECONDS: Final = 1.0
_LONGEST_VALUE = 200


@dataclass(slots=True)
class Problem(Exception):
    """An answer that is an error. `kind` becomes its type, `urn:tidemill:problem:<kind>`."""

    status: int
    kind: str
    detail: str
    faults: Sequence[Fault] = ()
    headers: dict[str, str] = field(default_factory=dict[str, str])


_KINDS: Final = (
    (errors.UnknownType, 400, "unknown-type"),
    (errors.InvalidTask, 400, "invalid-task"),
    (errors.InvalidSchedule, 400, "invalid-schedule"),
    (BadJson, 400, "malformed-json"),
    (errors.TaskNotFound, 404, "task-not-found"),
    (errors.NotFound, 404, "not-found"),
    (errors.IdempotencyConflict, 409, "idempotency-conflict"),
    (errors.Conflict, 409, "conflict"),
    (errors.QueueFull, 429, "queue-full"),
    (errors.Overloaded, 503, "overloaded"),
    (errors.OutcomeUnknown, 503, "outcome-unknown"),
    (errors.DatabaseUnavailable, 503, "database-unavailable"),
    (errors.SchemaMismatch, 503, "schema-mismatch"),
    (errors.DatabaseRefused, 503, "database-refused"),
)
# What the database says of itself (hosts, roles) is for the log, not for clients.
_DISCREET: Final = {
    "database-unavailable": "the database cannot be used now: try again; no task that this was to "
    "enqueue is stored",
    "outcome-unknown": "the database went away before it answered: this may be stored, or not: "
    "try again, with an idempotency key if it must not run twice",
    "schema-mismatch": "the database's schema does not fit this version; its operator must act",
    "database-refused": "the database refused this server; its operator must act",
}
_OF_STATUS: Final = {
    400: "bad-request",
    404: "no-such-path",
    405: "method-not-allowed",
    408: "request-timeout",
    413: "too-large",
    415: "unsupported-media-type",
}


def problem_of(error: Exception) -> Problem | None:
    """Return what `error` means to a client, or None for one that nobody expected."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, web.HTTPException):
        return _of_http(error)
    for kind, status, name in _KINDS:
        if isinstance(error, kind):
            return _of_core(error, status, name)
    return None


def response_of(problem: Problem, request_id: str) -> web.Response:
    """Return the problem as a response."""
    body: dict[str, Any] = {
        "type": f"urn:tidemill:problem:{problem.kind}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "request_id": request_id,
    }
    if problem.faults:
        body["faults"] = [_shown(fault) for fault in problem.faults]
    headers = {"Content-Type": PROBLEM_JSON, **problem.headers}
    return web.Response(body=encoded(body), status=problem.status, headers=headers)


def internal() -> Problem:
    """Return the problem of an unexpected error."""
    detail = "the server failed; its log has the error under this request id"
    return Problem(500, "internal", detail)


def _of_core(error: Exception, status: int, name: str) -> Problem:
    faults: Sequence[Fault] = getattr(error, "faults", ())
    detail = summary(faults) if faults else _printable(str(error))
    problem = Problem(status, name, _DISCREET.get(name) or detail, faults)
    if status in (429, 503):
        wait: float = getattr(error, "retry_after", RETRY_SECONDS)
        problem.headers["Retry-After"] = str(max(1, math.ceil(wait)))
    return problem


def _of_http(error: web.HTTPException) -> Problem:
    name = _OF_STATUS.get(error.status, "http")
    problem = Problem(error.status, name, HTTPStatus(error.status).description or error.reason)
    if allowed := error.headers.get("Allow"):
        problem.headers["Allow"] = allowed
        problem.detail = f"this path answers {allowed.replace(',', ', ')}"
    return problem


def summary(faults: Sequence[Fault]) -> str:
    """Return a sentence for `faults`, at least one."""
    first = f"{faults[0].field}: {faults[0].rule}"
    return _printable(first if len(faults) == 1 else f"{first} (and {len(faults) - 1} more)")


def _shown(fault: Fault) -> dict[str, Any]:
    return {
        "field": _printable(fault.field),
        "rule": _printable(fault.rule),
        "value": _short(fault.value),
    }


def _short(value: object) -> object:
    """Return small values as they are, others as the start of their text."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int) and abs(value) < 2**53:
        return value
    text = _printable(value if isinstance(value, str) else repr(value))
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
