"""Who calls, as the handlers know it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from tidemill_api.auth.scopes import Scope
from tidemill_api.problems import Problem

FORBIDDEN: Final = 403


@dataclass(frozen=True, slots=True)
class Caller:
    """A token's name and what it allows; `queues` None: all. Never the token itself."""

    name: str
    scopes: frozenset[Scope]
    queues: frozenset[str] | None = None

    def has(self, scope: Scope) -> bool:
        """Return whether it may do what asks for `scope`."""
        return scope in self.scopes or Scope.ADMIN in self.scopes or scope is Scope.OPEN

    def sees(self, queue: str) -> bool:
        """Return whether tasks of `queue` are there for it."""
        return self.queues is None or queue in self.queues

    def need(self, queues: Iterable[str]) -> None:
        """Raise a 403 problem that names the first queue that it is not for."""
        for queue in queues:
            if not self.sees(queue):
                raise not_for(queue)

    @property
    def listed(self) -> list[str] | None:
        """Its queues as a parameter of a query; None: all."""
        return None if self.queues is None else sorted(self.queues)


ANYONE: Final = Caller("api", frozenset({Scope.ADMIN}))
"""Who calls while no tokens are configured."""


_CALLER: Final = web.RequestKey("caller", Caller)


def caller_of(request: web.Request) -> Caller:
    """Return who calls."""
    caller: Caller = request.get(_CALLER, ANYONE)
    return caller


def note_caller(request: web.Request, caller: Caller) -> None:
    """Let the handler know who calls."""
    request[_CALLER] = caller


def not_for(queue: str, where: str = "") -> Problem:
    """Return the problem of a token that is limited to other queues."""
    told = f"{where}: " if where else ""
    return Problem(FORBIDDEN, "forbidden", f"{told}the token is not for queue {queue[:80]}")
