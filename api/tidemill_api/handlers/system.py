"""What runs here, how it is, and its figures."""

import asyncio
import math
from typing import Final

from aiohttp import web

import tidemill
from tidemill import schema
from tidemill_api.auth.callers import caller_of
from tidemill_api.context import API
from tidemill_api.encoding import JSON, answer
from tidemill_api.health import FRESH_SECONDS
from tidemill_api.shapes.stats import stats_json

METRICS_TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
_UNAVAILABLE: Final = 503
_AGAIN: Final = {"Retry-After": str(math.ceil(FRESH_SECONDS))}

_PATHS: Final = {
    "tasks": "/api/tasks",
    "dead_letters": "/api/dead-letters",
    "queues": "/api/queues",
    "task_types": "/api/task-types",
    "schedules": "/api/schedules",
    "workers": "/api/workers",
    "stats": "/api/stats",
    "stats_history": "/api/stats/history",
    "health": "/health",
    "metrics": "/metrics",
    "openapi": "/openapi.json",
}


async def index(request: web.Request) -> web.Response:
    """Return where to look next."""
    prefix = request.app[API].prefix
    paths = {name: prefix + path for name, path in _PATHS.items()}
    return answer({"name": "tidemill", "version": tidemill.__version__, "paths": paths})


async def openapi(request: web.Request) -> web.Response:
    """Return the OpenAPI document, made when the application started."""
    return web.Response(body=request.app[API].document, headers={"Content-Type": JSON})


async def version(_request: web.Request) -> web.Response:
    """Return what runs here."""
    return answer({"version": tidemill.__version__, "schema_version": schema.LATEST})


async def stats(request: web.Request) -> web.Response:
    """Return the figures of the system and of each queue."""
    seen = caller_of(request).listed
    return answer(stats_json(await request.app[API].store.stats.stats(seen)))


async def health(request: web.Request) -> web.Response:
    """Return whether this server can do its work: 200, or 503 while the database is down."""
    condition = await request.app[API].health.condition()
    body: dict[str, str | None] = {
        "status": "ok" if condition.reason is None else "degraded",
        "database": "up" if condition.reachable else "down",
    }
    return _condition(body, up=condition.reason is None)


async def alive(_request: web.Request) -> web.Response:
    """Answer while the process turns, with or without a database."""
    return answer({"status": "ok"})


async def ready(request: web.Request) -> web.Response:
    """Return whether requests should be sent here."""
    reason = await request.app[API].health.unready()
    body: dict[str, str | None] = {"status": "unready" if reason else "ready", "reason": reason}
    return _condition(body, up=reason is None)


def _condition(body: dict[str, str | None], *, up: bool) -> web.Response:
    return answer(body) if up else answer(body, _UNAVAILABLE, **_AGAIN)


async def metrics(request: web.Request) -> web.Response:
    """Return all metrics as Prometheus reads them."""
    api = request.app[API]
    await api.figures.refresh()
    text = await asyncio.to_thread(api.metrics.text)
    return web.Response(body=text, headers={"Content-Type": METRICS_TEXT})
