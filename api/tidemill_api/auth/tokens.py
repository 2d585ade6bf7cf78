"""Tokens: how one is made, and what is kept of it: never the token, only its SHA-256.

A token is 256 bits from the system's source of randomness. So a plain digest is as good as a slow
one: there is no dictionary to try. It also makes a look-up by digest safe: how long it takes tells
of the digest's bytes, and nobody can make tokens whose digests begin as they like.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Final

from tidemill_api.auth.callers import Caller

PREFIX: Final = "tm_"
"""What tokens begin with, for people and for scanners of secrets."""

RATE: Final = r"^([1-9][0-9]{0,6})/([1-9][0-9]{0,3})?([smh])$"
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600}
_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `requests` in `seconds`, and that many at once after a pause."""

    requests: int
    seconds: float

    @classmethod
    def of(cls, text: str) -> "Rate":
        """Return the rate in text such as 100/s, 20/10s or 1000/h. Raises ValueError."""
        parts = re.match(RATE, text)
        if parts is None:
            raise ValueError("must be requests per time, such as 100/s, 20/10s or 1000/h")
        return cls(int(parts[1]), float(int(parts[2] or 1) * _SECONDS[parts[3]]))


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it is known here. `expires_at`: seconds since 1970, of this machine's clock."""

    digest: bytes
    caller: Caller
    rate: Rate | None = None
    expires_at: float | None = None


def new_token() -> str:
    """Return a token that nobody can guess."""
    return PREFIX + secrets.token_urlsafe(_BYTES)


def digest_of(token: str) -> bytes:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
