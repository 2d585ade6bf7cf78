"""The worker protocol: claims, heartbeats, ends of attempts."""

import json
import re
from collections.abc import Sequence
from typing import Final

from aiohttp import web

from tidemill.models import queue_name_pattern
from tidemill.store.endings import Ended
from tidemill_api import incoming, reading
from tidemill_api.claims import Asked
from tidemill_api.context import API, Api
from tidemill_api.encoding import answer
from tidemill_api.requests.leases import (
    ClaimQuery,
    ClaimRequest,
    CompletedRequest,
    CompleteRequest,
    ExtendRequest,
    FailRequest,
    ReleaseRequest,
    SnoozeRequest,
)
from tidemill_api.shapes.leases import claimed_json, ends_json, extension_json

_NAME: Final = re.compile(queue_name_pattern)


async def claim(request: web.Request) -> web.Response:
    """Lease tasks of a queue, or wait for some."""
    name = request.match_info["name"]
    if not _NAME.fullmatch(name):
        raise incoming.not_found("queue", name)
    wait = incoming.query_of(request, ClaimQuery).wait
    body = await incoming.body_of(request, ClaimRequest)
    asked = Asked(
        queue=name,
        worker_id=body.worker_id,
        limit=body.limit,
        types=None if body.types is None else frozenset(body.types),
        lease_seconds=body.lease_seconds,
        wait=wait,
    )
    claimed = await request.app[API].claims.claim(asked, lambda: request.transport is None)
    tasks = [claimed_json(task) for task in claimed.tasks]
    return answer({"tasks": tasks, "draining": claimed.draining})


async def extend(request: web.Request) -> web.Response:
    """Keep leases and the worker alive, and tell what it should know."""
    api = request.app[API]
    asked = await incoming.body_of(request, ExtendRequest)
    leases = [each.lease for each in asked.leases]
    seconds = asked.lease_seconds or api.settings.lease_seconds
    extensions = await api.store.leases.extend(leases, seconds)
    await api.store.leases.progress(
        {each.lease: each.progress.text() for each in asked.leases if each.progress is not None}
    )
    state, released = await api.claims.beat(
        asked.worker_id, keep=leases if asked.release_others else None
    )
    told = {
        "leases": [extension_json(each) for each in extensions],
        "released": released,
        "registered": state.known,
        "draining": state.draining,
    }
    return answer(told)


async def complete(request: web.Request) -> web.Response:
    """Record successes."""
    api = request.app[API]
    asked = await incoming.body_of(request, CompleteRequest, reading.MAX_BATCH_BYTES)
    _bound_results(asked.leases, api.settings.max_payload_bytes)
    return await _recorded(api, [each.value() for each in asked.leases])


async def fail(request: web.Request) -> web.Response:
    """Record failures; the tasks' policies say whether they run again."""
    asked = await incoming.body_of(request, FailRequest, reading.MAX_BATCH_BYTES)
    return await _recorded(request.app[API], [each.value() for each in asked.leases])


async def release(request: web.Request) -> web.Response:
    """Take tasks back, uncharged."""
    asked = await incoming.body_of(request, ReleaseRequest)
    return await _recorded(request.app[API], [each.value() for each in asked.leases])


async def snooze(request: web.Request) -> web.Response:
    """Put tasks off, uncharged."""
    asked = await incoming.body_of(request, SnoozeRequest)
    return await _recorded(request.app[API], [each.value() for each in asked.leases])


async def _recorded(api: Api, ends: Sequence[Ended]) -> web.Response:
    held = await api.endings.record(ends)
    return answer(ends_json((end.lease for end in ends), held))


def _bound_results(ends: Sequence[CompletedRequest], most: int) -> None:
    """Raise a 413 problem for a result past `most` bytes of JSON."""
    for place, each in enumerate(ends):
        if each.result is None or isinstance(each.result, bool | int | float):
            continue
        text = json.dumps(each.result, ensure_ascii=False, separators=(",", ":"))
        if len(text) > most or len(text.encode()) > most:
            raise reading.too_large(most, f"leases[{place}].result")
