"""Browsers' pages of other origins: refused by the browser unless `cors_origins` lists theirs.

Answers carry no Access-Control-Allow-Credentials: a token travels in a header that the page sets,
so no page can act with what a browser keeps.
"""

import re
from dataclasses import dataclass
from typing import Final

from aiohttp import hdrs, web

from tidemill.errors import ConfigurationError
from tidemill.setting import variable_of

_ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9._\[\]:-]+")
_REFUSED_METHOD: Final = 405
_MAX_AGE_SECONDS: Final = 600
_REQUEST_HEADERS: Final = (
    "Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, X-Request-Id, "
    "traceparent, tracestate"
)
_EXPOSED: Final = "Location, Retry-After, X-Request-Id, ETag, Link"


@dataclass(frozen=True, slots=True)
class Cors:
    """Which origins' pages may read answers; `everyone` stands for `*`."""

    origins: frozenset[str]
    everyone: bool

    def finish(self, request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
        """Return `response` with what a browser asks for, or the answer to its preflight."""
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None or not (self.everyone or origin in self.origins):
            self._vary(response)
            return response
        answer = _preflight(response) if _is_preflight(request, response) else response
        answer.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = "*" if self.everyone else origin
        answer.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = _EXPOSED
        self._vary(answer)
        return answer

    def _vary(self, response: web.StreamResponse) -> None:
        if not self.everyone:
            response.headers.add(hdrs.VARY, hdrs.ORIGIN)


def cors_of(text: str) -> Cors | None:
    """Return what the setting says, None for nothing. Raises ConfigurationError."""
    given = [each.strip() for each in text.split(",") if each.strip()]
    for each in given:
        if each != "*" and not _ORIGIN.fullmatch(each):
            raise ConfigurationError(
                f"{variable_of('cors_origins')} must list origins as browsers send them, such as "
                f"https://tasks.example.com, without a path (got {each!r})"
            )
    if not given:
        return None
    return Cors(frozenset(given) - {"*"}, everyone="*" in given)


def _is_preflight(request: web.Request, response: web.StreamResponse) -> bool:
    """Whether this asks what a path allows: the router says it, by refusing OPTIONS."""
    return (
        request.method == hdrs.METH_OPTIONS
        and response.status == _REFUSED_METHOD
        and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers
    )


def _preflight(refusal: web.StreamResponse) -> web.Response:
    kept = {name: refusal.headers[name] for name in (hdrs.ALLOW,) if name in refusal.headers}
    return web.Response(
        status=204,
        headers={
            **kept,
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: ", ".join(kept.get(hdrs.ALLOW, "").split(",")),
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: _REQUEST_HEADERS,
            hdrs.ACCESS_CONTROL_MAX_AGE: str(_MAX_AGE_SECONDS),
        },
    )
