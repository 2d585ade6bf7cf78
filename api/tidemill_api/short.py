"""The short way of the one request that comes thousands of times a second: `POST /api/tasks`.

For each request aiohttp's application looks for a route, builds the layers of its middlewares and
notes which application it is in: a tenth of what an enqueue costs. What is asked here is known
before. So exactly this method and path go straight to the guard and the handler that the
application has as well, inside the same `answered`; everything else goes to the application, and
so does everything where another application has mounted this one.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Final

from aiohttp import hdrs, web

from tidemill_api import expecting
from tidemill_api.auth.guard import guarded
from tidemill_api.context import Api
from tidemill_api.created import Created
from tidemill_api.handlers import tasks
from tidemill_api.light import LightProtocol, Outcome
from tidemill_api.middleware import answered
from tidemill_api.routes import ENDPOINTS

_Application = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
ENQUEUE: Final = next(each for each in ENDPOINTS if each.handler is tasks.create)


async def _tell(outcome: Outcome, _: web.Request) -> web.StreamResponse:
    return outcome()


class ShortWay:
    """Handles a server's requests: enqueues itself, others with the application's handler."""

    def __init__(self, api: Api, application: _Application) -> None:
        """Enqueue with `api`; nothing but its own prefix is before its paths."""
        self._api = api
        self._path = api.own_prefix + ENQUEUE.path
        self._application = application
        mine = replace(ENQUEUE, handler=partial(tasks.enqueue, api=api, reply=Created))
        self._enqueue = guarded(mine, api.guard)

    def __call__(self, request: web.BaseRequest) -> Awaitable[web.StreamResponse]:
        """Return what will be the answer."""
        if (
            request.raw_path == self._path
            and request.method == ENQUEUE.method
            and hdrs.EXPECT not in request.headers
            and isinstance(request, web.Request)
        ):
            if isinstance(request.protocol, LightProtocol) and (
                known := request.protocol.take_outcome()
            ):
                outcome, began = known
                return answered(request, partial(_tell, outcome), self._api, ENQUEUE.path, began)
            return answered(request, self._enqueue, self._api, ENQUEUE.path)
        if expecting.unknown(request) and isinstance(request, web.Request):
            return answered(request, expecting.refuse, self._api, "unmatched")
        return self._application(request)
