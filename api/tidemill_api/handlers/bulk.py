"""Acts on all tasks that a filter finds."""

from aiohttp import web

from tidemill.acts import Bulk
from tidemill.errors import Fault
from tidemill_api import incoming, within
from tidemill_api.auth.callers import caller_of
from tidemill_api.checking import invalid
from tidemill_api.context import API, Api
from tidemill_api.encoding import answer
from tidemill_api.requests.bulk import BulkRequest, MoveRequest, ReprioritiseRequest
from tidemill_api.shapes.bulk import bulk_json


async def cancel(request: web.Request) -> web.Response:
    """Cancel what waits or runs."""
    api, caller = request.app[API], caller_of(request)
    asked = await incoming.body_of(request, BulkRequest)
    act = api.store.bulk.cancel(
        within.narrowed(caller, asked.filter.value()), asked.reach(), actor=caller.name
    )
    return done(api, await act)


async def retry(request: web.Request) -> web.Response:
    """Run now what is scheduled, and replay what failed."""
    api, caller = request.app[API], caller_of(request)
    asked = await incoming.body_of(request, BulkRequest)
    act = api.store.bulk.retry(
        within.narrowed(caller, asked.filter.value()), asked.reach(), actor=caller.name
    )
    return done(api, await act)


async def delete(request: web.Request) -> web.Response:
    """Delete what waits or has failed."""
    api, caller = request.app[API], caller_of(request)
    asked = await incoming.body_of(request, BulkRequest)
    return done(
        api,
        await api.store.bulk.delete(within.narrowed(caller, asked.filter.value()), asked.reach()),
    )


async def reprioritise(request: web.Request) -> web.Response:
    """Give what waits another priority."""
    api, caller = request.app[API], caller_of(request)
    asked = await incoming.body_of(request, ReprioritiseRequest)
    found, priority = within.narrowed(caller, asked.filter.value()), asked.priority
    act = api.store.bulk.reprioritise(found, priority, asked.reach(), actor=caller.name)
    return done(api, await act)


async def move(request: web.Request) -> web.Response:
    """Put what waits into another queue."""
    api, caller = request.app[API], caller_of(request)
    asked = await incoming.body_of(request, MoveRequest)
    caller.need((asked.queue,))
    if not api.creates_queues and await api.store.queues.get(asked.queue) is None:
        rule = "must be a queue that exists, for queues are not created here"
        raise invalid(Fault("queue", rule, asked.queue))
    act = api.store.bulk.move(
        within.narrowed(caller, asked.filter.value()), asked.queue, asked.reach(), actor=caller.name
    )
    return done(api, await act)


def done(api: Api, bulk: Bulk) -> web.Response:
    """Wake workers for what became claimable, and tell what was done."""
    for queue in sorted(bulk.queues):
        api.hints.hint(queue)
    return answer(bulk_json(bulk))
