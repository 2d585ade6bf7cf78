"""What a route is: its handler, and all that /openapi.json says of it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from tidemill_api.auth.scopes import Limit, Scope
from tidemill_api.encoding import JSON
from tidemill_api.requests.fields import Strict

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Reply:
    """One success answer: what it means and its model (or a list of it); none for no body."""

    meaning: str
    model: Any = None
    media: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter in the path, the query or the head."""

    name: str
    place: str
    meaning: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A method on a path.

    `problems` are the error statuses that it answers, besides those of every route (ALWAYS of
    openapi.py).
    `query` is the model of what may stand in the query; without one the query is not looked at.
    `tagged`: an answer has an ETag, and who names it gets 304 while nothing has changed.
    `scope` is what a caller's token must be for; `limit` keeps a token of some queues to them.
    """

    method: str
    path: str
    handler: Handler
    name: str
    summary: str
    tag: str
    scope: Scope
    replies: Mapping[int, Reply]
    problems: tuple[int, ...] = ()
    bodies: Mapping[str, Any] = field(default_factory=dict[str, Any])
    parameters: tuple[Parameter, ...] = ()
    query: type[Strict] | None = None
    limit: Limit = Limit.REFUSED
    tagged: bool = False


PROBLEMS: Final[Mapping[int, str]] = {
    400: "malformed or invalid; each fault is named",
    401: "no token, or one that is malformed, unknown or expired",
    403: "the token lacks the scope, or is for other queues; the answer says which",
    404: "there is no such thing",
    408: "the body did not arrive in time",
    409: "what is there does not allow it; the answer says what",
    413: "the body or a payload is too large",
    415: "the content type is not one of those listed",
    429: "the queue is full, or the token past its rate; Retry-After says when to try again",
    431: "the request line or a header has more than 8190 bytes",
    500: "the server failed; its log has the request id",
    503: "overloaded, or the database is away; Retry-After says when to try again",
}
