"""The aiohttp application, made from the routes."""

from functools import cache

from aiohttp import web

from tidemill_api.context import API, DOCUMENT, Api
from tidemill_api.encoding import encoded
from tidemill_api.middleware import around
from tidemill_api.openapi import document
from tidemill_api.routes import ENDPOINTS


def build(api: Api) -> web.Application:
    """Return the application that answers with `api`'s parts."""
    app = web.Application(middlewares=[around])
    app[API] = api
    app[DOCUMENT] = _document()
    for each in ENDPOINTS:
        app.router.add_route(each.method, each.path, each.handler, name=each.name)
        if each.method == "GET":
            app.router.add_route("HEAD", each.path, each.handler)
    return app


@cache  # the same for every application of a process
def _document() -> bytes:
    return encoded(document(ENDPOINTS))
