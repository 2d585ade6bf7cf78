"""Tasks: enqueue one or many, look at one."""

from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from typing import Any, Final, cast

from aiohttp import web

from tidemill.errors import Fault, InvalidTask, TaskNotFound
from tidemill_api import batches, checking, incoming, lines, reading, strictjson, texts, within
from tidemill_api.auth.callers import caller_of
from tidemill_api.context import API, Api
from tidemill_api.created import created
from tidemill_api.encoding import answer
from tidemill_api.gathering import Gathering, bound_payload, trace_of, traced
from tidemill_api.problems import Problem
from tidemill_api.requests.queries import WaitQuery
from tidemill_api.shapes import tasks as shapes
from tidemill_api.types import check_payload

KEY_HEADER: Final = "Idempotency-Key"
LINES: Final = "application/x-ndjson"
_TOO_LARGE: Final = 413

Reply = Callable[[bytes, str], web.StreamResponse]
"""Makes the answer of a new task's JSON and its place."""


async def create(request: web.Request) -> web.StreamResponse:
    """Enqueue one task: 201, or 200 with the first task of a known idempotency key."""
    return await enqueue(request, request.app[API])


async def enqueue(request: web.Request, api: Api, reply: Reply = created) -> web.StreamResponse:
    """Answer `create` with `api`: an enqueue that comes the short way belongs to no application."""
    reading.content_type(request, reading.JSON_TYPES)
    limit = api.settings.max_payload_bytes + reading.ENVELOPE_BYTES
    with api.bodies.holding(reading.expected_size(request, limit)):
        data = await reading.body(request, limit)
        task = checking.task_of(_with_key(strictjson.parse(data), request))
        if len(data) > (most := api.settings.max_payload_bytes):  # a small body holds none
            bound_payload(task, most, "payload")
        traced((task,), trace_of(request.headers))
        if (caller := caller_of(request)).queues is not None:
            await within.placed(api, caller, (task,))
        check_payload(task, await api.types.checks((task,)))
        made = await api.enqueuer.one(task)
    location = f"{api.prefix}/api/tasks/{made.id}"
    if made.created:
        return reply(shapes.new_task(task, made), location)
    known = await api.store.tasks.get(made.id)
    if known is None or not caller.sees(known.queue):
        raise TaskNotFound(f"task {made.id} was removed; its idempotency key is still held")
    return answer(shapes.task_json(known), 200, Location=location)


async def create_many(request: web.Request) -> web.Response:
    """Enqueue a batch, all or nothing: 201 if any task is new, else 200."""
    api = request.app[API]
    kind = reading.content_type(request, reading.JSON_TYPES | reading.NDJSON_TYPES)
    if KEY_HEADER in request.headers:
        raise InvalidTask(Fault(KEY_HEADER, "is for single tasks; a batch's tasks carry their own"))
    in_lines = kind in reading.NDJSON_TYPES
    most = reading.MAX_BATCH_BYTES if in_lines else texts.most_bytes(api)
    with (
        nullcontext() if in_lines else _pointing_to_lines(),
        api.bodies.holding(reading.known_size(request, most)) as held,
    ):
        gathering = Gathering(api, request, held)
        if in_lines:
            made = await lines.stored(api, reading.Arriving(request, most, held), gathering)
        else:
            await batches.gather(api, await reading.body(request, most, held), gathering)
            made = await gathering.store()
    status = 201 if any(each.created for each in made) else 200
    return answer(shapes.batch_json(gathering.types, made), status)


async def show(request: web.Request) -> web.Response:
    """Return a task as it is now, or after `?wait=` seconds, or when it has ended meanwhile."""
    task_id = incoming.task_id(request)
    api = request.app[API]
    seconds = incoming.query_of(request, WaitQuery).wait if request.query else 0.0
    task, caller = await api.store.tasks.get(task_id), caller_of(request)
    if task is not None and seconds and not task.status.final and caller.sees(task.queue):
        await api.waits.until_ended(task_id, seconds, lambda: request.transport is None)
        task = await api.store.tasks.get(task_id)
    if task is None or not caller.sees(task.queue):
        raise incoming.no_task(task_id)
    return answer(shapes.task_json(task))


async def history(request: web.Request) -> web.Response:
    """Return what happened to a task, oldest first."""
    task_id, api = incoming.task_id(request), request.app[API]
    await within.check_task(api, caller_of(request), task_id)
    events = await api.store.tasks.history(task_id)
    if not events:
        raise incoming.no_task(task_id)
    return answer([shapes.event_json(event) for event in events])


@contextmanager
def _pointing_to_lines() -> Generator[None]:
    """Tell whose array is too large where more has room."""
    try:
        yield
    except Problem as error:
        if error.status == _TOO_LARGE and [each.field for each in error.faults] == ["body"]:
            more = f"{reading.MAX_BATCH_BYTES} as {LINES}, one task a line"
            error.detail = f"{error.detail} of JSON, and {more}"
        raise


def _with_key(value: Any, request: web.Request) -> Any:
    """Return the body with the key of its header, which must not say otherwise."""
    key = request.headers.get(KEY_HEADER)
    if key is None:
        return value
    if not isinstance(value, dict):
        raise InvalidTask(Fault("body", "must be an object", value))
    if rule := strictjson.unstorable(key):
        raise InvalidTask(Fault(KEY_HEADER, rule, key))
    fields = cast("dict[str, Any]", value)
    if fields.get("idempotency_key", key) not in (key, None):
        rule = "must be the same as the body's idempotency_key"
        raise InvalidTask(Fault(KEY_HEADER, rule, key))
    return {**fields, "idempotency_key": key}
