"""The one place where requests are let in, before any handler."""

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from tidemill_api.auth.callers import ANYONE, Caller, note_caller
from tidemill_api.auth.scopes import Limit, Scope
from tidemill_api.endpoints import Endpoint, Handler


class Guard:
    """Lets everybody in: no tokens are configured."""

    on = False

    def admit(
        self, headers: Mapping[str, str], scope: Scope, limit: Limit = Limit.HANDLER
    ) -> Caller:
        """Return who calls. Raises a 401, 403 or 429 problem."""
        del headers, scope, limit
        return ANYONE


NAME: Final = "name"
"""The part of a path that names the queue, where a route's limit is its path."""


def guarded(endpoint: Endpoint, guard: Guard) -> Handler:
    """Return the endpoint's handler, for those whom `guard` lets in; without tokens as it is."""
    scope, limit, handler = endpoint.scope, endpoint.limit, endpoint.handler
    if not guard.on or scope is Scope.OPEN:
        return handler

    async def admitted(request: web.Request) -> web.StreamResponse:
        caller = guard.admit(request.headers, scope, limit)
        if limit is Limit.PATH:
            caller.need((request.match_info[NAME],))
        note_caller(request, caller)
        return await handler(request)

    return admitted
