"""Requests to the HTTP API: what is safe to repeat is repeated, errors are those of core."""

import asyncio
import io
import json
import random
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple, cast

import aiohttp

from tidemill.client.problems import error_of, is_ours
from tidemill.errors import (
    ApiUnavailable,
    DatabaseUnavailable,
    Overloaded,
    RateLimited,
    TidemillError,
)
from tidemill.setting import masked

TRIES: Final = 4
"""How often a call that is safe to repeat is made before its error is raised."""

FIRST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 5.0
CALL_SECONDS: Final = 30.0
_CONNECT_SECONDS: Final = 10.0
_AGAIN: Final = (ApiUnavailable, DatabaseUnavailable, Overloaded)
_BAD: Final = 400
_JSON: Final = "application/json"
LIST_BYTES: Final = 8 * 1024 * 1024
"""A longer batch is sent as lines."""


class Body(NamedTuple):
    """What is sent, and its Content-Type."""

    data: bytes
    kind: str


class Unconnected(ApiUnavailable):
    """No connection came about: nothing was sent, so nothing was done."""


_UNDONE: Final = (Unconnected, RateLimited)


class Calls:
    """A session with one server. Sessions are opened at the first call."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        """Call the API at `url`, which may have a path."""
        self._url = url.rstrip("/")
        self._headers = dict(headers)
        self._session: aiohttp.ClientSession | None = None

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: Body | None = None,
        safe: bool,
        seconds: float = CALL_SECONDS,
    ) -> Any:
        """Return the answer's JSON. A call is repeated where it is `safe` or nothing was done.

        Raises the error that the answer stands for, or ApiUnavailable.
        """
        for tried in range(1, TRIES + 1):
            try:
                return await self._once(method, path, body, seconds)
            except _AGAIN as error:
                if tried == TRIES or not (safe or isinstance(error, _UNDONE)):
                    raise
                await asyncio.sleep(_pause(tried, error))
        raise AssertionError  # the last try returns or raises

    async def close(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _once(self, method: str, path: str, body: Body | None, seconds: float) -> Any:
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=_CONNECT_SECONDS)
        # As a file a large one is sent piece by piece; as bytes aiohttp warns of it.
        data = None if body is None else io.BytesIO(body.data)
        headers = None if body is None else {"Content-Type": body.kind}
        try:
            async with self._opened().request(
                method, self._url + path, data=data, headers=headers, timeout=timeout
            ) as response:
                text = await response.read()
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise Unconnected(f"the API at {self._url} cannot be reached: {error}") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            told = str(error) or f"no answer within {seconds:g} s"
            raise ApiUnavailable(f"the API at {self._url} did not answer: {told}") from error
        return self._read(f"{method} {masked(self._url)}{path}", response, text)

    def _read(self, asked: str, response: aiohttp.ClientResponse, text: bytes) -> Any:
        try:
            value: Any = json.loads(text) if text else None
        except ValueError:
            value = None
        status, headers = response.status, response.headers
        found = f"{status} {response.reason or ''}".strip()
        stranger = (
            f"{asked} was answered by something that is no Tidemill API ({found}, "
            f"{headers.get('Content-Type', 'no content type')}): is the url right?"
        )
        if status >= _BAD:
            problem = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
            ours = is_ours(problem)
            raise error_of(status, problem if ours else {"detail": stranger}, _retry_after(headers))
        if not isinstance(value, dict | list):
            raise ApiUnavailable(stranger)
        return cast("Any", value)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            # Long polls hold a connection each, and must not hold up the other calls.
            connector = aiohttp.TCPConnector(limit=0)
            headers = {"Content-Type": _JSON, **self._headers}
            self._session = aiohttp.ClientSession(connector=connector, headers=headers)
        return self._session


def listed(values: Iterable[Any]) -> Body:
    """Return a body of these values: in a list, or if that is large one a line.

    The API reads lines while they arrive, and takes less of a list, which it parses in one go.
    """
    rows = [json.dumps(value, ensure_ascii=False).encode() for value in values]
    if sum(map(len, rows)) > LIST_BYTES:
        return Body(b"\n".join(rows), "application/x-ndjson")
    return Body(b"[" + b",".join(rows) + b"]", _JSON)


class Patience:
    """A time limit of a wait that is made of several calls. None: no limit."""

    def __init__(self, seconds: float | None) -> None:
        """Begin now."""
        self._end = float("inf") if seconds is None else time.monotonic() + seconds

    @property
    def left(self) -> float:
        """How many seconds are left; 0 when none are."""
        return max(0.0, self._end - time.monotonic())


def _pause(tried: int, error: TidemillError) -> float:
    pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** (tried - 1))
    asked: float = getattr(error, "retry_after", 0.0)
    spread: float = random.uniform(0.75, 1.25)
    return max(pause, min(asked, LONGEST_PAUSE_SECONDS)) * spread


def _retry_after(headers: Mapping[str, str]) -> float:
    try:
        return float(headers.get("Retry-After", "1"))
    except ValueError:
        return 1.0
