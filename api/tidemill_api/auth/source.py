"""Where tokens come from: a file that is looked at every second, or the environment."""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry

from tidemill.errors import ConfigurationError
from tidemill.service import Loop
from tidemill.settings import Settings
from tidemill_api.auth.entries import parsed
from tidemill_api.auth.guard import Guard
from tidemill_api.auth.tokens import Token

FILE: Final = "TIDEMILL_TOKENS_FILE"
VARIABLE: Final = "TIDEMILL_TOKENS"
LOOK_SECONDS: Final = 1.0
MOST_BYTES: Final = 16 * 1024 * 1024
_log = logging.getLogger(__name__)


def configured(settings: Settings) -> bytes | None:
    """Return the text of the tokens; None where none are configured. Raises ConfigurationError."""
    if settings.tokens_file and settings.tokens:
        raise ConfigurationError(f"{FILE} and {VARIABLE}: only one of them can be given")
    if settings.tokens_file:
        return _read(Path(settings.tokens_file))
    return settings.tokens.encode() if settings.tokens else None


def tokens_in(data: bytes, source: str) -> list[Token]:
    """Return the tokens in `data`. Raises ConfigurationError."""
    return [entry.token() for entry in parsed(data, source).tokens]


def guard_of(settings: Settings, registry: CollectorRegistry) -> tuple[Guard, "TokenWatch | None"]:
    """Return the guard of what is configured, and what keeps it up to date.

    Raises ConfigurationError.
    """
    data = configured(settings)
    if data is None:
        return Guard(None, registry), None
    source = FILE if settings.tokens_file else VARIABLE
    tokens = tokens_in(data, source)
    guard = Guard(tokens, registry, open_metrics=settings.open_metrics == "on")
    _log.info("authentication is on: %s from %s", counted(tokens), source)
    if not settings.tokens_file:
        return guard, None
    return guard, TokenWatch(Path(settings.tokens_file), data, guard)


class TokenWatch(Loop):
    """Takes up a changed file of tokens; what is wrong with it leaves the old ones in force.

    The whole file is read each time: it is small, and neither its times nor its inode tell of each
    change (a Secret's file is a link to a link that is swapped).
    """

    def __init__(self, path: Path, known: bytes, guard: Guard) -> None:
        """Put changes of `path`, which held `known`, into `guard`."""
        super().__init__("tokens", LOOK_SECONDS)
        self._path = path
        self._known = known
        self._guard = guard
        self._fault: str | None = None

    async def run_once(self) -> int:
        """Look at the file once."""
        try:
            data = await asyncio.to_thread(_read, self._path)
            tokens = tokens_in(data, FILE) if data != self._known else None
        except ConfigurationError as error:
            self._complain(str(error))
            return 0
        if tokens is not None:
            self._guard.replace(tokens)
            self._known = data
            _log.info("%s has changed: %s in force", FILE, counted(tokens))
        elif self._fault is not None:
            _log.info("%s is as it was again; its tokens were in force all the time", FILE)
        self._fault = None
        self._guard.metrics.stale.set(0)
        return 0

    def _complain(self, fault: str) -> None:
        self._guard.metrics.stale.set(1)
        if fault != self._fault:  # once for each thing that is wrong
            _log.error("tokens are NOT up to date, the earlier ones stay in force: %s", fault)
        self._fault = fault


def counted(tokens: Sequence[Token]) -> str:
    """Return how many tokens there are, for people."""
    return "1 token" if len(tokens) == 1 else f"{len(tokens)} tokens"


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{FILE}: {path}: {error.strerror or error}") from None
    if len(data) > MOST_BYTES:
        raise ConfigurationError(f"{FILE}: must have at most {MOST_BYTES} bytes")
    return data
