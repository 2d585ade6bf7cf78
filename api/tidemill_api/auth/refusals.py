"""What is answered to a request that is not let in (RFC 6750, section 3)."""

import math
from typing import Final

from tidemill_api.auth.scopes import Scope
from tidemill_api.problems import Problem

CHALLENGE: Final = "WWW-Authenticate"
_BEARER: Final = 'Bearer realm="tidemill"'
_WHY: Final = {
    "malformed": "Authorization: must be `Bearer` and a token",
    "unknown": "the token is not known here",
    "expired": "the token has expired",
}


def missing() -> Problem:
    """Return the problem of a request without a token."""
    detail = "Authorization: is required: `Bearer` and a token"
    return Problem(401, "unauthenticated", detail, headers={CHALLENGE: _BEARER})


def invalid(reason: str) -> Problem:
    """Return the problem of a token that is `malformed`, `unknown` or `expired`."""
    told = f'{_BEARER}, error="invalid_token", error_description="the token is {reason}"'
    return Problem(401, "unauthenticated", _WHY[reason], headers={CHALLENGE: told})


def insufficient(scope: Scope) -> Problem:
    """Return the problem of a token without `scope`."""
    told = f'{_BEARER}, error="insufficient_scope", scope="{scope}"'
    detail = f"the token lacks the scope {scope}"
    return Problem(403, "forbidden", detail, headers={CHALLENGE: told})


def limited() -> Problem:
    """Return the problem of a token of some queues where something is about all of them."""
    return Problem(403, "forbidden", "this is about all queues; the token is limited to some")


def too_fast(wait: float) -> Problem:
    """Return the problem of a token past its rate; `wait`: seconds until the next request."""
    headers = {"Retry-After": str(max(1, math.ceil(wait)))}
    return Problem(429, "rate-limited", "the token is past its rate of requests", headers=headers)
