"""What acts take from a request: a small JSON body, a query, or nothing at all."""

from typing import TypeVar
from uuid import UUID

from aiohttp import web

from tidemill.errors import Fault, NotFound, TaskNotFound
from tidemill_api import reading, strictjson, texts
from tidemill_api.budget import Held
from tidemill_api.checking import invalid, request_of
from tidemill_api.context import API
from tidemill_api.paths import rendered
from tidemill_api.requests.fields import Strict, uuid_of

MOST_BYTES = 1024 * 1024
"""Largest body of an act: a type's JSON Schema, say."""

_EMPTY = frozenset({b"", b"{}"})
_LONGEST_SHOWN = 80
Request = TypeVar("Request", bound=Strict)


async def body_of(request: web.Request, model: type[Request]) -> Request:
    """Return the body as `model`. Raises BadJson, or the problem that it is."""
    reading.content_type(request, reading.JSON_TYPES)
    with request.app[API].bodies.holding(reading.expected_size(request, MOST_BYTES)):
        return request_of(model, strictjson.parse(await reading.body(request, MOST_BYTES)))


def holding(request: web.Request) -> Held:
    """Hold the bytes of a large body in a with block, for as long as what was in it is in hand."""
    reading.content_type(request, reading.JSON_TYPES)
    api = request.app[API]
    return api.bodies.holding(reading.known_size(request, texts.most_bytes(api)))


async def large_body_of(request: web.Request, model: type[Request], held: Held) -> Request:
    """Return a body of many reports as `model`. Raises as `body_of`."""
    api = request.app[API]
    data = await reading.body(request, texts.most_bytes(api), held)
    async with texts.turn(api, data):
        return request_of(model, await texts.parsed(data))


async def no_body(request: web.Request) -> None:
    """Raise a problem unless the body is empty, or an object without fields."""
    if not request.can_read_body:
        return
    if (await reading.body(request, MOST_BYTES)).strip() not in _EMPTY:
        raise invalid(Fault("body", "must be empty: there is nothing to say here"))


def query_of(request: web.Request, model: type[Request]) -> Request:
    """Return the query as `model`. Raises a 400 problem that names every fault."""
    faults: list[Fault] = []
    for name in dict.fromkeys(request.query):
        if len(request.query.getall(name)) > 1:
            faults.append(Fault(rendered([name]), "must be given once"))
        elif rule := strictjson.unstorable(name + request.query[name]):
            faults.append(Fault(rendered([name]), rule))
    if faults:
        raise invalid(*faults[: strictjson.MAX_FAULTS])
    return request_of(model, dict(request.query))


def task_id(request: web.Request) -> UUID:
    """Return the id in the path. Raises TaskNotFound for what is no UUID."""
    text = request.match_info["id"]
    found = uuid_of(text)
    if found is None:
        raise no_task(text)
    return found


def no_task(name: object) -> TaskNotFound:
    """Return the error of an id that no task has."""
    return TaskNotFound(f"no task has the id {str(name)[:_LONGEST_SHOWN]}")


def not_found(kind: str, name: object) -> NotFound:
    """Return the error of a name that no `kind` has."""
    return NotFound(f"there is no {kind} {str(name)[:_LONGEST_SHOWN]}")
