"""Around every handler: a request id, problem+json for errors, latency, the log.

One middleware for all four: each layer of aiohttp's costs as much as parsing a small task.
"""

import logging
import re
import secrets
import time
from collections.abc import MutableMapping
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from tidemill_api.context import API
from tidemill_api.problems import internal, problem_of, response_of

REQUEST_ID: Final = "X-Request-Id"
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+/=-]{0,127}")
_METHODS: Final = frozenset(hdrs.METH_ALL)
_BAD, _FAILED = 400, 500
_log = logging.getLogger(__name__)


@web.middleware
async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer `request` with `handler`, whatever it raises."""
    began = time.perf_counter()
    request_id = _request_id(request)
    try:
        response = await handler(request)
    except Exception as error:  # noqa: BLE001 - the one place where errors become answers
        response = _answer_to(error, request, request_id)
    finish(response.headers, request_id)
    seconds = time.perf_counter() - began
    _note(request, response.status, seconds, request_id)
    return response


def finish(headers: MutableMapping[str, str], request_id: str) -> None:
    """Add what every answer carries."""
    headers[REQUEST_ID] = request_id
    headers["Server"] = "tidemill"
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Cache-Control"] = "no-store"


def route_of(request: web.Request) -> str:
    """Return the template that the request's path matched, such as /api/tasks/{id}."""
    resource = request.match_info.route.resource
    return "unmatched" if resource is None else resource.canonical


def _request_id(request: web.Request) -> str:
    given = request.headers.get(REQUEST_ID)
    if given is not None and _ID.fullmatch(given):
        return given
    return secrets.token_hex(8)


def _answer_to(error: Exception, request: web.Request, request_id: str) -> web.Response:
    problem = problem_of(error)
    if problem is None:
        problem = internal()
        _log_failure(request, request_id, error, stack=error)
    elif problem.status >= _FAILED and request.app[API].log_pace.admits(problem.kind):
        # a refusal that has a name needs no stack, and a thousand a second no thousand lines
        _log_failure(request, request_id, error, stack=None)
    return response_of(problem, request_id)


def _log_failure(
    request: web.Request, request_id: str, error: Exception, *, stack: Exception | None
) -> None:
    _log.error(
        "%s %s failed: %s: %s",
        request.method,
        route_of(request),
        type(error).__name__,
        str(error).partition("\n")[0],
        exc_info=stack,
        extra={"request_id": request_id},
    )


def _note(request: web.Request, status: int, seconds: float, request_id: str) -> None:
    route = route_of(request)
    method = request.method if request.method in _METHODS else "other"
    request.app[API].metrics.observe_request(route, method, status, seconds)
    level = logging.DEBUG if status < _BAD else logging.INFO
    if _log.isEnabledFor(level):
        _log.log(
            level,
            "%s %s -> %d in %.1f ms",
            method,
            route,
            status,
            seconds * 1000,
            extra={"request_id": request_id},
        )
