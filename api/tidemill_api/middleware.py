"""Around every handler: a request id, problem+json for errors, latency, the log.

One middleware for all four: each layer of aiohttp's costs as much as parsing a small task.
`answered` is what it does, for the way of enqueues that goes past aiohttp's layers (short.py).
"""

import logging
import re
import secrets
import time
from collections.abc import Mapping, MutableMapping
from typing import Final, NamedTuple

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from tidemill_api.compression import compress
from tidemill_api.context import API, Api
from tidemill_api.created import Created
from tidemill_api.problems import internal, problem_of, response_of

REQUEST_ID: Final = "X-Request-Id"
EVERYWHERE: Final = {
    "Server": "tidemill",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_LINES: Final = "".join(f"{name}: {value}\r\n" for name, value in EVERYWHERE.items())
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+/=-]{0,127}")
_METHODS: Final = frozenset(hdrs.METH_ALL)
_BAD, _FAILED = 400, 500
_AT_ONCE: Final = 64
_ids: list[str] = []
"""Drawn together: each draw asks the kernel."""

_log = logging.getLogger(__name__)


class Asked(NamedTuple):
    """What is told of a request in logs and metrics."""

    method: str
    route: str
    id: str


@web.middleware
async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer `request` with `handler`, whatever it raises."""
    return await answered(request, handler, request.app[API], route_of(request))


async def answered(
    request: web.Request, handler: Handler, api: Api, route: str, began: float | None = None
) -> web.StreamResponse:
    """Return the answer of `handler`, or that to what it raises, with what every answer carries.

    `began`: when the work did, by `time.perf_counter`; None: now.
    """
    began = time.perf_counter() if began is None else began
    asked = Asked(request.method, route, request_id(request.headers))
    try:
        response = await handler(request)
    except Exception as error:  # noqa: BLE001 - the one place where errors become answers
        response = _answer_to(error, asked, api)
    if isinstance(response, Created):
        if api.cors is None and not api.health.draining and response.suits(request):
            note(asked, response.status, time.perf_counter() - began, api)
            return response.finish(common_lines(asked.id))
        response = response.usual()
    await compress(request, response)
    if api.cors is not None:
        response = api.cors.finish(request, response)
    finish(response.headers, asked.id)
    if api.health.draining or _refused_early(request, response):
        response.force_close()
    note(asked, response.status, time.perf_counter() - began, api)
    return response


def common_lines(request_id: str) -> str:
    """Return what `finish` adds, as text."""
    return f"{REQUEST_ID}: {request_id}\r\n{_LINES}"


def finish(headers: MutableMapping[str, str], request_id: str) -> None:
    """Add what every answer carries."""
    headers[REQUEST_ID] = request_id
    headers.update(EVERYWHERE)


def route_of(request: web.Request) -> str:
    """Return the template that the request's path matched, such as /api/tasks/{id}.

    Without the prefix of the setting: dashboards need not know.
    """
    resource = request.match_info.route.resource
    if resource is None:
        return "unmatched"
    return resource.canonical.removeprefix(request.app[API].own_prefix)


def _refused_early(request: web.Request, response: web.StreamResponse) -> bool:
    """Whether the rest of a body is on its way that nobody wants: it is not waited for."""
    return response.status >= _BAD and not request.content.is_eof()


def request_id(headers: Mapping[str, str]) -> str:
    """Return the id that a request with `headers` names, or a new one."""
    given = headers.get(REQUEST_ID)
    if given is not None and _ID.fullmatch(given):
        return given
    if not _ids:
        drawn = secrets.token_hex(8 * _AT_ONCE)
        _ids.extend(drawn[place : place + 16] for place in range(0, len(drawn), 16))
    return _ids.pop()


def _answer_to(error: Exception, asked: Asked, api: Api) -> web.Response:
    problem = problem_of(error)
    if problem is None:
        problem = internal()
        _log_failure(asked, error, stack=error)
    elif problem.status >= _FAILED and api.log_pace.admits(problem.kind):
        # a refusal that has a name needs no stack, and a thousand a second no thousand lines
        _log_failure(asked, error, stack=None)
    return response_of(problem, asked.id)


def _log_failure(asked: Asked, error: Exception, *, stack: Exception | None) -> None:
    _log.error(
        "%s %s failed: %s: %s",
        asked.method,
        asked.route,
        type(error).__name__,
        str(error).partition("\n")[0],
        exc_info=stack,
        extra={"request_id": asked.id},
    )


def note(asked: Asked, status: int, seconds: float, api: Api) -> None:
    """Count an answered request, and log it."""
    method = asked.method if asked.method in _METHODS else "other"
    api.metrics.observe_request(asked.route, method, status, seconds)
    level = logging.DEBUG if status < _BAD else logging.INFO
    if _log.isEnabledFor(level):
        _log.log(
            level,
            "%s %s -> %d in %.1f ms",
            method,
            asked.route,
            status,
            seconds * 1000,
            extra={"request_id": asked.id},
        )
