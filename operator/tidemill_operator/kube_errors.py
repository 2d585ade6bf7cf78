"""Errors of the Kubernetes API, translated once from what the client raises.

KubeError (a TidemillError)
├── KubeUnavailable     no answer in time, no connection, 429 or 5xx: the same call may work later
├── KubeNotFound        404: the object, or its kind, is not there
├── KubeConflict        409: it changed since it was read; read again and decide again
├── KubeForbidden       401 or 403: our account may not do this
└── KubeInvalid         any other 4xx: the API server refused what we sent
"""

import json
from typing import Any

from tidemill.errors import TidemillError

UNAUTHORIZED, FORBIDDEN, NOT_FOUND, CONFLICT, TOO_MANY, SERVER_ERROR = 401, 403, 404, 409, 429, 500


class KubeError(TidemillError):
    """Base of all errors of the Kubernetes API."""


class KubeUnavailable(KubeError):
    """The API server cannot be reached, is overloaded or failed; try again later.

    `everywhere` = other calls would fare no better. `retry_after` = seconds that it asks for.
    """

    def __init__(
        self, message: str, *, everywhere: bool = True, retry_after: float | None = None
    ) -> None:
        """See the class."""
        super().__init__(message)
        self.everywhere = everywhere
        self.retry_after = retry_after


class KubeNotFound(KubeError):
    """The object, or its kind, does not exist."""


class KubeConflict(KubeError):
    """The object changed since it was read, or exists already."""


class KubeForbidden(KubeError):
    """Our account may not do this; the message names verb and resource."""


class KubeInvalid(KubeError):
    """The API server refused the content; the message is its own."""


def of_answer(status: int, body: bytes, what: str, retry_after: str | None = None) -> KubeError:
    """Return the error that an answer with `status` (4xx or 5xx) stands for.

    `retry_after` is the header of that name, in seconds; a date is not heeded.
    """
    message = f"{what}: {_message(body) or f'HTTP {status}'}"
    if status in (UNAUTHORIZED, FORBIDDEN):
        return KubeForbidden(message)
    if status == NOT_FOUND:
        return KubeNotFound(message)
    if status == CONFLICT:
        return KubeConflict(message)
    if status == TOO_MANY or status >= SERVER_ERROR:
        # A plain 500 is often about one object: a webhook that fails, say.
        everywhere = status != SERVER_ERROR
        seconds = float(retry_after) if retry_after and retry_after.isdecimal() else None
        return KubeUnavailable(message, everywhere=everywhere, retry_after=seconds)
    return KubeInvalid(message)


def _message(body: bytes, limit: int = 500) -> str:
    try:
        status: Any = json.loads(body)
        text = str(status["message"])
    except (ValueError, TypeError, KeyError):
        text = body.decode(errors="replace")
    return text.strip()[:limit]
