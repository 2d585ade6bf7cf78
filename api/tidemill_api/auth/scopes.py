"""What a route asks of the token that calls it."""

from enum import StrEnum
from typing import Final


class Scope(StrEnum):
    """What a token is for. `admin` is for everything; `open` is what needs no token."""

    OPEN = "open"
    ENQUEUE = "enqueue"
    WORK = "work"
    READ = "read"
    ADMIN = "admin"


class Limit(StrEnum):
    """How a route keeps a token that is limited to queues to them. Refused unless it says how."""

    REFUSED = "refused"
    """It is about all queues: such a token gets 403."""

    PATH = "path"
    """It is about the queue in its path, `{name}`: 403 for any other, before the handler."""

    HANDLER = "handler"
    """The handler asks its caller what may be touched and shown."""

    FREE = "free"
    """It tells nothing of any queue."""


GRANTED: Final = (Scope.ENQUEUE, Scope.WORK, Scope.READ, Scope.ADMIN)
"""The scopes that a token may have."""
