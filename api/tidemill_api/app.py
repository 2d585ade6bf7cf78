"""The aiohttp application, made from the routes."""

import re
from functools import cache
from typing import Final

from aiohttp import web

from tidemill_api.auth.guard import guarded
from tidemill_api.context import API, Api
from tidemill_api.encoding import encoded
from tidemill_api.endpoints import Endpoint
from tidemill_api.etags import tagging
from tidemill_api.expecting import later
from tidemill_api.middleware import around
from tidemill_api.openapi import document
from tidemill_api.routes import ENDPOINTS

_ANY: Final = re.compile(r"\{(\w+)\}")
"""A part of a path: the handler judges it, braces and all, and says what is wrong."""


def build(api: Api) -> web.Application:
    """Return the application that answers with `api`'s parts."""
    app = web.Application(middlewares=[around])
    app[API] = api
    app.on_startup.append(_find_place)
    for each in ENDPOINTS:
        _route(app, each, api, api.own_prefix + each.path, each.name)
        if api.own_prefix:  # a proxy may strip it, and who probes a pod goes past the proxy
            _route(app, each, api, each.path, f"{each.name}_stripped")
    return app


def _route(app: web.Application, each: Endpoint, api: Api, place: str, name: str) -> None:
    path = _ANY.sub(rf"{{\1:{_besides(each.path)}[^/]+}}", place)
    handler = guarded(tagging(each), api.guard)
    app.router.add_route(each.method, path, handler, name=name, expect_handler=later)
    if each.method == "GET":
        app.router.add_route("HEAD", path, handler, expect_handler=later)


def _besides(path: str) -> str:
    """Return what keeps a last part off the words that paths of their own end in.

    So /api/tasks/batch is no task: another method there is answered 405, with its own `Allow`.
    """
    start, _, end = path.rpartition("/")
    if not _ANY.fullmatch(end):
        return ""
    others = (each.path.rpartition("/") for each in ENDPOINTS)
    words = sorted({word for place, _, word in others if place == start and word != end})
    return f"(?!(?:{'|'.join(words)})$)" if words else ""


async def _find_place(app: web.Application) -> None:
    """Note where another application has mounted this one: nobody tells, but its routes know."""
    api, first = app[API], ENDPOINTS[0]
    api.prefix = app.router[first.name].canonical.removesuffix(first.path)
    api.document = _document(api.prefix, api.guard.on)


@cache  # the same for every application of a process that is mounted there
def _document(prefix: str, secured: bool) -> bytes:
    return encoded(document(ENDPOINTS, prefix, secured=secured))
