"""Task types: JSON Schema of the payload, defaults, pause and resume."""

import re
from typing import Final

from aiohttp import web

from tidemill.errors import Fault
from tidemill.models import type_name_pattern
from tidemill_api import incoming
from tidemill_api.checking import invalid
from tidemill_api.context import API, Api
from tidemill_api.encoding import answer
from tidemill_api.requests.types import TypeRequest
from tidemill_api.shapes.types import type_json

APP: Final = "api"
"""What a type that was registered here says instead of an app."""

_NAME: Final = re.compile(type_name_pattern)


async def show_all(request: web.Request) -> web.Response:
    """Return all task types by name."""
    types = await request.app[API].store.types.list()
    return answer({"task_types": [type_json(each) for each in types]})


async def show(request: web.Request) -> web.Response:
    """Return a task type."""
    return answer(await _current(request.app[API], request.match_info["name"]))


async def put(request: web.Request) -> web.Response:
    """Register a task type (201), or put another in its place (200)."""
    api, name = request.app[API], request.match_info["name"]
    if not _NAME.fullmatch(name):
        rule = "must be a name of at most 200 letters, digits and _.:/-"
        raise invalid(Fault("name", rule, name))
    asked = await incoming.body_of(request, TypeRequest)
    known = await api.store.types.get(name)
    await api.store.types.register([asked.value(name)], app=APP)
    await api.types.refresh()  # who put it finds it in force, at least here
    return answer(await _current(api, name), 200 if known else 201)


async def delete(request: web.Request) -> web.Response:
    """Forget a task type; its tasks stay."""
    api, name = await _named(request)
    await api.store.types.delete(name)
    await api.types.refresh()
    return web.Response(status=204)


async def pause(request: web.Request) -> web.Response:
    """Let no task of a type start."""
    api, name = await _named(request)
    await api.store.types.pause(name)
    return answer(await _current(api, name))


async def resume(request: web.Request) -> web.Response:
    """Let tasks of a type start again."""
    api, name = await _named(request)
    for queue in await api.store.types.resume(name):
        api.hints.hint(queue)
    return answer(await _current(api, name))


async def _current(api: Api, name: str) -> dict[str, object]:
    found = await api.store.types.get(name) if _NAME.fullmatch(name) else None
    if found is None:
        raise incoming.not_found("task type", name)
    return type_json(found)


async def _named(request: web.Request) -> tuple[Api, str]:
    name = request.match_info["name"]
    await incoming.no_body(request)
    if not _NAME.fullmatch(name):
        raise incoming.not_found("task type", name)
    return request.app[API], name
