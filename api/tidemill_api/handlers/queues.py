"""Queues: settings, pause and resume."""

import re
from typing import Final

from aiohttp import web

from tidemill.errors import Fault
from tidemill.models import queue_name_pattern
from tidemill_api import incoming
from tidemill_api.auth.callers import caller_of
from tidemill_api.checking import invalid
from tidemill_api.context import API, Api
from tidemill_api.encoding import answer
from tidemill_api.requests.queues import QueueRequest
from tidemill_api.shapes.queues import queue_json

_NAME: Final = re.compile(queue_name_pattern)


async def show_all(request: web.Request) -> web.Response:
    """Return all queues by name."""
    queues, caller = await request.app[API].store.queues.all(), caller_of(request)
    return answer({"queues": [queue_json(each) for each in queues if caller.sees(each.name)]})


async def show(request: web.Request) -> web.Response:
    """Return a queue."""
    name = request.match_info["name"]
    queue = await request.app[API].store.queues.get(name) if _NAME.fullmatch(name) else None
    if queue is None:
        raise incoming.not_found("queue", name)
    return answer(queue_json(queue))


async def put(request: web.Request) -> web.Response:
    """Create a queue (201) or change its settings (200)."""
    api, name = request.app[API], request.match_info["name"]
    if not _NAME.fullmatch(name):
        rule = "must be a name of at most 63 letters, digits and _.-"
        raise invalid(Fault("name", rule, name))
    asked = await incoming.body_of(request, QueueRequest)
    known = await api.store.queues.get(name)
    queue = await api.store.queues.put(name, asked.changes())
    if known:
        api.hints.hint(name)  # a limit may have gone
    return answer(queue_json(queue), 200 if known else 201)


async def delete(request: web.Request) -> web.Response:
    """Delete a queue that holds no tasks."""
    api, name = await _named(request)
    await api.store.queues.delete(name)
    return web.Response(status=204)


async def pause(request: web.Request) -> web.Response:
    """Let nothing start in a queue."""
    api, name = await _named(request)
    return answer(queue_json(await api.store.queues.pause(name)))


async def resume(request: web.Request) -> web.Response:
    """Let the queue run again, unless its TaskQueue pauses it too."""
    api, name = await _named(request)
    queue = await api.store.queues.resume(name)
    if not queue.owner_paused:
        api.hints.hint(name)
    return answer(queue_json(queue))


async def _named(request: web.Request) -> tuple[Api, str]:
    name = request.match_info["name"]
    await incoming.no_body(request)
    if not _NAME.fullmatch(name):
        raise incoming.not_found("queue", name)
    return request.app[API], name
