"""Workers in other languages: they come and go."""

import re
from typing import Final

from aiohttp import web

from tidemill_api import incoming, within
from tidemill_api.auth.callers import caller_of
from tidemill_api.context import API
from tidemill_api.encoding import answer
from tidemill_api.requests.leases import RegisterRequest

_ID: Final = re.compile(r"[0-9]{1,18}")


async def register(request: web.Request) -> web.Response:
    """Announce a worker process."""
    api = request.app[API]
    asked = await incoming.body_of(request, RegisterRequest)
    within.check_registration(caller_of(request), asked.queues)
    worker = await api.store.workers.register(asked.value())
    told = {
        "worker_id": worker.id,
        "lease_seconds": api.settings.lease_seconds,
        "heartbeat_seconds": min(api.settings.heartbeat_seconds, api.settings.lease_seconds / 3),
    }
    return answer(told, 201)


async def leave(request: web.Request) -> web.Response:
    """Sign a worker off; what it still holds goes back, uncharged."""
    api, text = request.app[API], request.match_info["id"]
    await incoming.no_body(request)
    if not _ID.fullmatch(text):
        raise incoming.not_found("worker", text)
    await within.check_worker(api, caller_of(request), int(text))
    if not await api.claims.sign_off(int(text)):
        raise incoming.not_found("worker", text)
    return web.Response(status=204)
