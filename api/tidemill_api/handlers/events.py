"""The stream of events."""

from aiohttp import hdrs, web

from tidemill.errors import Fault
from tidemill_api import incoming, strictjson, within
from tidemill_api.auth.callers import caller_of
from tidemill_api.checking import invalid, request_of
from tidemill_api.context import API
from tidemill_api.events.client import Client
from tidemill_api.events.stream import HEADERS, EventStream
from tidemill_api.paths import rendered
from tidemill_api.requests.events import EventQuery


async def stream(request: web.Request) -> web.StreamResponse:
    """Tell what changes until the client goes."""
    api, caller, asked = request.app[API], caller_of(request), _query(request)
    caller.need(asked.queue)
    if asked.task:
        known = await within.existing(api, caller, asked.task)
        for each in asked.task:
            if each not in known:
                raise incoming.no_task(each)
    await api.feed.check(asked.queue)
    if request.method == hdrs.METH_HEAD:
        return web.Response(headers=HEADERS)
    return EventStream(api.feed, Client(caller, asked.queue, asked.task))


def _query(request: web.Request) -> EventQuery:
    given = {name: request.query.getall(name) for name in request.query}
    faults = [
        Fault(rendered([name]), rule)
        for name, values in given.items()
        if (rule := strictjson.unstorable(name + "".join(values)))
    ]
    if faults:
        raise invalid(*faults[: strictjson.MAX_FAULTS])
    return request_of(EventQuery, given)
