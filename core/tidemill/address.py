"""From settings to asyncpg's connection arguments; what cannot work is told before connecting."""

import re
import ssl
from typing import Any, Final
from urllib.parse import urlsplit

from tidemill import errors
from tidemill.settings import Settings

# A cached plan outlives the moment that it was made for: made while a table was empty, it would
# read the whole table for each row once it is full. A pooler takes no such settings; but through
# one nothing is cached, and every plan is made for the tables as they are. JIT never pays here.
_PINNED_PLANS: Final = {"enable_seqscan": "off", "enable_bitmapscan": "off", "jit": "off"}
# What our statements rely on, whatever the server's default: each sees what others have committed.
_ISOLATION: Final = {"default_transaction_isolation": "read committed"}
_HOST: Final = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(:\d{0,5})?")


def connect_options(
    settings: Settings, *, application: str, direct: bool = False
) -> dict[str, Any]:
    """Return asyncpg's connection arguments for `settings`.

    Raises ConfigurationError when there is no address, or one that is none.
    """
    url = settings.direct_url if direct else settings.database_url
    if not url:
        raise errors.ConfigurationError(
            "TIDEMILL_DATABASE_URL must be set: postgresql://user:password@host:5432/name"
        )
    _check_address(url)
    options: dict[str, Any] = {
        "dsn": url,
        "timeout": settings.database_connect_seconds,
        "command_timeout": settings.database_statement_seconds,
        "server_settings": {"application_name": application},
    }
    if settings.database_ca_file:
        options["ssl"] = _trusting(settings.database_ca_file)
    if settings.database_pooler == "transaction" and not direct:
        options["statement_cache_size"] = 0
    else:
        options["server_settings"] |= _PINNED_PLANS | _ISOLATION
    return options


def _check_address(url: str) -> None:
    """Raise ConfigurationError for what asyncpg could not read, without showing its password."""
    if not url.startswith(("postgresql://", "postgres://")):
        rule = "must start with postgresql:// or postgres://"
        raise errors.ConfigurationError(
            f"TIDEMILL_DATABASE_URL {rule} (got {url.partition(':')[0]!r})"
        )
    try:
        hosts = urlsplit(url).netloc.rpartition("@")[2].split(",")
    except ValueError as error:
        raise errors.ConfigurationError(f"TIDEMILL_DATABASE_URL is no address: {error}") from None
    for host in hosts:
        if not _HOST.fullmatch(host):
            raise errors.ConfigurationError(
                f"TIDEMILL_DATABASE_URL must name its server as host:port (got {host!r})"
            )


def _trusting(file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=file)
    except OSError as error:  # also ssl.SSLError: not a certificate
        raise errors.ConfigurationError(
            f"TIDEMILL_DATABASE_CA_FILE must be a file of certificates (got {file!r}): {error}"
        ) from None
