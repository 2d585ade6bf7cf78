"""The one place where requests are let in, before any handler."""

import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry

from tidemill_api.auth import refusals
from tidemill_api.auth.buckets import Bucket
from tidemill_api.auth.callers import ANYONE, FORBIDDEN, Caller, note_caller
from tidemill_api.auth.metrics import AuthMetrics
from tidemill_api.auth.scopes import Limit, Scope
from tidemill_api.auth.tokens import Token, digest_of
from tidemill_api.endpoints import Endpoint, Handler
from tidemill_api.problems import Problem

NAME: Final = "name"
"""The part of a path that names the queue, where a route's limit is its path."""

METRICS: Final = "getMetrics"
"""The one route that a setting opens."""

_BEARER: Final = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/-]{1,4096}=*) *")
_BAD: Final = 400
_audit = logging.getLogger("tidemill_api.audit")


class Guard:
    """Lets in who has a token; everybody where none are configured (`on` is False)."""

    def __init__(
        self,
        tokens: Sequence[Token] | None = None,
        registry: CollectorRegistry | None = None,
        *,
        open_metrics: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Know `tokens`; None: none are configured. `open_metrics`: they need no token."""
        self.on = tokens is not None
        self.open_metrics = open_metrics
        self.metrics = AuthMetrics(registry or CollectorRegistry())
        self._clock = clock
        self._tokens: Mapping[bytes, Token] = {}
        self._buckets: dict[bytes, Bucket] = {}
        self.replace(tokens or ())

    def replace(self, tokens: Sequence[Token]) -> None:
        """Know these tokens from now on. A token whose rate is as it was has used what it used."""
        buckets = self._buckets
        self._buckets = {
            each.digest: known
            if (known := buckets.get(each.digest)) and known.rate == each.rate
            else Bucket(each.rate)
            for each in tokens
            if each.rate is not None
        }
        self._tokens = {each.digest: each for each in tokens}

    def admit(
        self, headers: Mapping[str, str], scope: Scope, limit: Limit = Limit.HANDLER
    ) -> Caller:
        """Return who calls. Raises a 401, 403 or 429 problem."""
        if not self.on:
            return ANYONE
        token = self._known(headers.get("Authorization"))
        caller = token.caller
        if (bucket := self._buckets.get(token.digest)) and (wait := bucket.draw()):
            raise self._refused("rate", refusals.too_fast(wait))
        if not caller.has(scope):
            raise self._refused("scope", refusals.insufficient(scope))
        if caller.queues is not None and limit is Limit.REFUSED:
            raise self._refused("queue", refusals.limited())
        self.metrics.admit(caller.name)
        return caller

    def knows(self, headers: Mapping[str, str], scope: Scope) -> bool:
        """Return whether the token may do all of `scope`, in any queue; nothing is counted."""
        return not self.on or self._allowed(headers, scope) is not None

    def admits_lightly(self, headers: Mapping[str, str], scope: Scope) -> bool:
        """Let in who is known (`knows`), as `admit` does.

        False leaves everything as it was, for `admit` to say what there is to say.
        """
        if not self.on:
            return True
        token = self._allowed(headers, scope)
        if token is None or ((bucket := self._buckets.get(token.digest)) and bucket.draw()):
            return False  # a bucket that says how long to wait has drawn nothing
        self.metrics.admit(token.caller.name)
        return True

    def _allowed(self, headers: Mapping[str, str], scope: Scope) -> Token | None:
        given = _BEARER.fullmatch(headers.get("Authorization", ""))
        token = self._tokens.get(digest_of(given[1])) if given is not None else None
        if token is None or (token.expires_at is not None and token.expires_at <= self._clock()):
            return None
        caller = token.caller
        return token if caller.queues is None and caller.has(scope) else None

    def _known(self, header: str | None) -> Token:
        if not header:
            raise self._refused("missing", refusals.missing())
        given = _BEARER.fullmatch(header)
        if given is None:
            raise self._refused("malformed", refusals.invalid("malformed"))
        token = self._tokens.get(digest_of(given[1]))
        if token is None:
            raise self._refused("unknown", refusals.invalid("unknown"))
        if token.expires_at is not None and token.expires_at <= self._clock():
            raise self._refused("expired", refusals.invalid("expired"))
        return token

    def _refused(self, reason: str, problem: Problem) -> Problem:
        self.metrics.refuse(reason)
        return problem


def guarded(endpoint: Endpoint, guard: Guard) -> Handler:
    """Return the endpoint's handler, for those whom `guard` lets in; without tokens as it is."""
    scope, limit, handler = endpoint.scope, endpoint.limit, endpoint.handler
    if not guard.on or scope is Scope.OPEN or (guard.open_metrics and endpoint.name == METRICS):
        return handler

    async def admitted(request: web.Request) -> web.StreamResponse:
        caller = guard.admit(request.headers, scope, limit)
        note_caller(request, caller)
        try:
            if limit is Limit.PATH:
                caller.need((request.match_info[NAME],))
            response = await handler(request)
        except Problem as problem:
            if problem.status == FORBIDDEN:
                guard.metrics.refuse("queue")
            raise
        if scope is Scope.ADMIN and response.status < _BAD:
            _audit.info("%s %s by %s", endpoint.name, request.path, caller.name)
        return response

    return admitted
