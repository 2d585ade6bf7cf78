"""The worker protocol: claims, heartbeats, ends of attempts."""

import asyncio
import json
import re
from collections.abc import Sequence
from typing import Final

from aiohttp import web

from tidemill.models import Extension, Lease, queue_name_pattern
from tidemill.store.endings import Ended
from tidemill.store.workers import WorkerState
from tidemill_api import incoming, reading, within
from tidemill_api.auth.callers import Caller, caller_of
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

_LONG_TEXT: Final = 64 * 1024
_NAME: Final = re.compile(queue_name_pattern)


async def claim(request: web.Request) -> web.Response:
    """Lease tasks of a queue, or wait for some."""
    name = request.match_info["name"]
    if not _NAME.fullmatch(name):
        raise incoming.not_found("queue", name)
    wait = incoming.query_of(request, ClaimQuery).wait
    body, api = await incoming.body_of(request, ClaimRequest), request.app[API]
    await within.check_worker(api, caller_of(request), body.worker_id)
    asked = Asked(
        queue=name,
        worker_id=body.worker_id,
        limit=body.limit,
        types=None if body.types is None else frozenset(body.types),
        lease_seconds=body.lease_seconds,
        wait=wait,
    )
    claimed = await api.claims.claim(asked, lambda: request.transport is None)
    tasks = [claimed_json(task) for task in claimed.tasks]
    return answer({"tasks": tasks, "draining": claimed.draining})


async def extend(request: web.Request) -> web.Response:
    """Keep leases and the worker alive, and tell what it should know."""
    api, caller = request.app[API], caller_of(request)
    asked = await incoming.body_of(request, ExtendRequest)
    seen = await within.seen(api, caller, [each.task_id for each in asked.leases])
    ours = [each for each in asked.leases if each.task_id in seen]
    leases = [each.lease for each in ours]
    seconds = asked.lease_seconds or api.settings.lease_seconds
    known = {each.lease: each for each in await api.store.leases.extend(leases, seconds)}
    await api.store.leases.progress(
        {each.lease: each.progress.text() for each in ours if each.progress is not None}
    )
    state, released = WorkerState(known=False), 0
    if await within.sees_worker(api, caller, asked.worker_id):
        keep = leases if asked.release_others else None
        state, released = await api.claims.beat(asked.worker_id, keep=keep)
    told = {
        "leases": [extension_json(known.get(e.lease, _lost(e.lease))) for e in asked.leases],
        "released": released,
        "registered": state.known,
        "draining": state.draining,
    }
    return answer(told)


async def complete(request: web.Request) -> web.Response:
    """Record successes."""
    api = request.app[API]
    with incoming.holding(request) as held:
        asked = await incoming.large_body_of(request, CompleteRequest, held)
        await _bound_results(asked.leases, api.settings.max_payload_bytes)
        return await _recorded(api, caller_of(request), [each.value() for each in asked.leases])


async def fail(request: web.Request) -> web.Response:
    """Record failures; the tasks' policies say whether they run again."""
    with incoming.holding(request) as held:
        asked = await incoming.large_body_of(request, FailRequest, held)
        ends = [each.value() for each in asked.leases]
        return await _recorded(request.app[API], caller_of(request), ends)


async def release(request: web.Request) -> web.Response:
    """Take tasks back, uncharged."""
    with incoming.holding(request) as held:
        asked = await incoming.large_body_of(request, ReleaseRequest, held)
        ends = [each.value() for each in asked.leases]
        return await _recorded(request.app[API], caller_of(request), ends)


async def snooze(request: web.Request) -> web.Response:
    """Put tasks off, uncharged."""
    with incoming.holding(request) as held:
        asked = await incoming.large_body_of(request, SnoozeRequest, held)
        ends = [each.value() for each in asked.leases]
        return await _recorded(request.app[API], caller_of(request), ends)


def _lost(lease: Lease) -> Extension:
    return Extension(lease=lease, held=False, cancel_requested=False)


async def _recorded(api: Api, caller: Caller, ends: Sequence[Ended]) -> web.Response:
    """Record the ends of tasks that are there for `caller`; of others the lease is lost."""
    if caller.queues is None:
        return answer(ends_json((end.lease for end in ends), await api.endings.record(ends)))
    seen = await within.seen(api, caller, [end.lease.task_id for end in ends])
    ours = [end for end in ends if end.lease.task_id in seen]
    verdicts = iter(await api.endings.record(ours) if ours else ())
    held = [next(verdicts) if end.lease.task_id in seen else False for end in ends]
    return answer(ends_json((end.lease for end in ends), held))


async def _bound_results(ends: Sequence[CompletedRequest], most: int) -> None:
    """Raise a 413 problem for a result past `most` bytes of JSON."""
    for place, each in enumerate(ends):
        if each.result is None or isinstance(each.result, bool | int | float):
            continue
        text = json.dumps(each.result, ensure_ascii=False, separators=(",", ":"))
        if len(text) > most or len(text.encode()) > most:
            raise reading.too_large(most, f"leases[{place}].result")
        if len(text) > _LONG_TEXT:
            await asyncio.sleep(0)  # others are answered meanwhile
