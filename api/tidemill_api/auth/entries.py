"""The JSON in which tokens are configured: `{"tokens": [{"name", "sha256", "scopes", …}]}`.

A fault is told with its place and rule, never with a value: somebody may have put a token where its
digest belongs.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field

from tidemill.errors import ConfigurationError, Fault
from tidemill.models import queue_name_pattern
from tidemill.redaction import redact
from tidemill_api import checking, strictjson
from tidemill_api.auth.callers import Caller
from tidemill_api.auth.scopes import GRANTED, Scope
from tidemill_api.auth.tokens import Rate, Token
from tidemill_api.problems import Problem
from tidemill_api.requests.fields import Instant, Strict
from tidemill_api.strictjson import BadJson

NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,62}$"
MOST_TOKENS: Final = 10_000
_MOST_QUEUES: Final = 1000
_SHOWN: Final = 5


def _scope(text: str) -> str:
    if text not in GRANTED:
        raise ValueError(f"must be one of {', '.join(GRANTED)}")
    return text


def _rate(text: str) -> str:
    Rate.of(text)
    return text


class TokenEntry(Strict):
    """One token. Several may have one name: the old and the new while they are changed over."""

    name: Annotated[str, Field(pattern=NAME)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    scopes: Annotated[
        list[Annotated[str, AfterValidator(_scope)]], Field(min_length=1, max_length=len(GRANTED))
    ]
    queues: Annotated[
        list[Annotated[str, Field(pattern=queue_name_pattern)]] | None,
        Field(min_length=1, max_length=_MOST_QUEUES),
    ] = None
    rate: Annotated[str, AfterValidator(_rate)] | None = None
    expires_at: Instant | None = None

    def token(self) -> Token:
        """Return the token as the guard knows it."""
        return Token(
            digest=bytes.fromhex(self.sha256),
            caller=Caller(
                self.name,
                frozenset(Scope(scope) for scope in self.scopes),
                None if self.queues is None else frozenset(self.queues),
            ),
            rate=None if self.rate is None else Rate.of(self.rate),
            expires_at=None if self.expires_at is None else self.expires_at.timestamp(),
        )

    def expired(self, now: datetime) -> bool:
        """Return whether it is past its time."""
        return self.expires_at is not None and self.expires_at <= now


class TokenEntries(Strict):
    """All tokens."""

    tokens: Annotated[list[TokenEntry], Field(max_length=MOST_TOKENS)]

    def faults(self) -> Sequence[Fault]:
        """Return the digests that are there twice."""
        counts = Counter(each.sha256 for each in self.tokens)
        return [
            Fault(f"tokens[{place}].sha256", "must not be there twice")
            for place, each in enumerate(self.tokens)
            if counts[each.sha256] > 1
        ]


def parsed(data: bytes, source: str) -> TokenEntries:
    """Return the tokens in `data`. Raises ConfigurationError naming `source`, field and rule."""
    try:
        value: Any = strictjson.parse(data)
        return checking.request_of(TokenEntries, value)
    except (BadJson, Problem) as error:
        told = (f"{redact(fault.field)}: {fault.rule}" for fault in error.faults[:_SHOWN])
        raise ConfigurationError(f"{source}: {'; '.join(told)}") from None
