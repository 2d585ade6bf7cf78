"""Is the API's port free, and does the API answer on it?"""

import asyncio
import socket
from http import HTTPStatus

import aiohttp

from tidemill.errors import ConfigurationError

_EVERYWHERE = ("0.0.0.0", "::", "")  # noqa: S104 - compared with, not bound to


def address_of(host: str, port: int) -> str:
    """Return the URL under which this machine reaches a server that listens on `host`."""
    name = "127.0.0.1" if host in _EVERYWHERE else host
    return f"http://{f'[{name}]' if ':' in name else name}:{port}"


def ensure_free(host: str, port: int) -> None:
    """Raise ConfigurationError in one line when `port` of `host` cannot be listened on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigurationError(
                f"port {port} of {host or 'all addresses'} cannot be used: {error.strerror}; "
                "choose another with --port"
            ) from None


async def answers(address: str, path: str = "/readyz") -> bool:
    """Whether a GET gets 200 within a second."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=1.0)) as session,
            session.get(address + path) as answer,
        ):
            return answer.status == HTTPStatus.OK
    except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError):
        return False
