"""From settings to asyncpg's connection arguments; what cannot work is told before connecting.

The CA and the password are read from their files each time: whoever mounts them may replace them
while we run.
"""

import os
import re
import ssl
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from tidemill import errors
from tidemill.settings import Settings

Host = tuple[str, int | None]

CLIENT_GRACE_SECONDS: Final = 5.0
"""How much longer than Postgres we wait for the end of a statement: the answer has to travel."""

IDLE_IN_TRANSACTION_SECONDS: Final = 60
"""How long Postgres keeps a transaction whose process says nothing any more, locks and all."""

# A cached plan outlives the moment that it was made for: made while a table was empty, it would
# read the whole table for each row once it is full. JIT never pays here. Left to itself Postgres
# plans the claim anew each time (its limit is a parameter, so a plan for any limit looks dearer):
# 1.6 ms of planning for 0.2 ms of work.
_PINNED_PLANS: Final = {
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
}
# What our statements rely on, whatever the server's default: each sees what others have committed.
_ISOLATION: Final = {"default_transaction_isolation": "read committed"}
_HOST: Final = re.compile(r"\[([^\[\]]*)\](?::(\d{0,5}))?|([^:\[\]]*)(?::(\d{0,5}))?")
_WRITABLE: Final = ("read-write", "primary", "any")
_UNVERIFIED: Final = ("disable", "allow", "prefer")


def connect_options(
    settings: Settings, *, application: str, direct: bool = False
) -> dict[str, Any]:
    """Return asyncpg's connection arguments for `settings`, with the files as they are now.

    Raises ConfigurationError when there is no address, one that is none, or a file that is not
    what it should be.
    """
    url = _url(settings, direct=direct)
    options: dict[str, Any] = {
        "dsn": _verified(url, settings.database_ca_file) if settings.database_ca_file else url,
        "timeout": settings.database_connect_seconds,
        "command_timeout": settings.database_statement_seconds + CLIENT_GRACE_SECONDS,
        "server_settings": {"application_name": application},
    }
    if settings.database_password_file:
        options["password"] = _password(settings.database_password_file)
    if len(hosts(settings, direct=direct)) > 1:
        options["target_session_attrs"] = target(settings, direct=direct)
    if is_pooled(settings, direct=direct):
        options["statement_cache_size"] = 0
    else:
        options["server_settings"] |= _session_settings(settings) | _ISOLATION
    return options


def is_pooled(settings: Settings, *, direct: bool) -> bool:
    """Whether a transaction pooler stands between: no two transactions need share a session."""
    return settings.database_pooler == "transaction" and not direct


def first_statements(settings: Settings) -> str:
    """Return what a transaction through a pooler begins with: what its session cannot keep.

    Sent with BEGIN, in one round trip.
    """
    given = _session_settings(settings).items()
    return "".join(f"; SET LOCAL {name} = '{value}'" for name, value in given)


def hosts(settings: Settings, *, direct: bool = False) -> list[Host]:
    """Return the servers that the address names, in its order; empty when it leaves that open."""
    parts = urlsplit(_url(settings, direct=direct))
    query = dict(parse_qsl(parts.query))
    if named := parts.netloc.rpartition("@")[2]:
        return [_host(each) for each in named.split(",")]
    names, ports = query.get("host", "").split(","), _ports(query)
    ports = ports if len(ports) == len(names) else ports[:1] * len(names)
    return [(name, port) for name, port in zip(names, ports, strict=True) if name]


def target(settings: Settings, *, direct: bool = False) -> str:
    """Return which of several servers will do: `read-write` unless the address says otherwise."""
    query = dict(parse_qsl(urlsplit(_url(settings, direct=direct)).query))
    asked = query.get("target_session_attrs") or os.environ.get("PGTARGETSESSIONATTRS")
    if asked and asked not in _WRITABLE:
        raise errors.ConfigurationError(
            f"{_variable(settings, direct=direct)}: target_session_attrs must be one of "
            f"{', '.join(_WRITABLE)}: a queue is written to (got {asked!r})"
        )
    return asked or _WRITABLE[0]


def _session_settings(settings: Settings) -> dict[str, str]:
    return _PINNED_PLANS | {
        "statement_timeout": f"{max(1, round(settings.database_statement_seconds * 1000))}ms",
        "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_SECONDS}s",
    }


def _url(settings: Settings, *, direct: bool) -> str:
    url = settings.direct_url if direct else settings.database_url
    variable = _variable(settings, direct=direct)
    if not url:
        why = ": what is to be done here cannot go through a transaction pooler"
        raise errors.ConfigurationError(
            f"{variable} must be set{why if variable.endswith('DIRECT_URL') else ''}: "
            "postgresql://user:password@host:5432/name"
        )
    _check_address(url, variable)
    return url


def _variable(settings: Settings, *, direct: bool) -> str:
    own = direct and (settings.database_direct_url or settings.database_pooler != "none")
    return "TIDEMILL_DATABASE_DIRECT_URL" if own else "TIDEMILL_DATABASE_URL"


def _check_address(url: str, variable: str) -> None:
    """Raise ConfigurationError for what asyncpg could not read, without showing its password."""
    if not url.startswith(("postgresql://", "postgres://")):
        rule = "must start with postgresql:// or postgres://"
        raise errors.ConfigurationError(f"{variable} {rule} (got {url.partition(':')[0]!r})")
    try:
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        _ports(query)
    except ValueError:  # its text may hold the password
        rule = "must be an address such as postgresql://user:password@host:5432/name"
        raise errors.ConfigurationError(f"{variable} {rule}") from None
    named = parts.netloc.rpartition("@")[2].split(",")
    for host in named:
        if not _HOST.fullmatch(host) or (len(named) > 1 and not _host(host)[0]):
            raise errors.ConfigurationError(
                f"{variable} must name its server as host:port (got {host!r})"
            )


def _ports(query: dict[str, str]) -> list[int | None]:
    """Return the ports of `?port=`; one None without. Raises ValueError for what is no number."""
    return [int(each) if each else None for each in query.get("port", "").split(",")]


def _host(text: str) -> Host:
    found = _HOST.fullmatch(text)
    if found is None:  # checked before; for the type checker
        raise ValueError(text)
    bracketed, its_port, plain, port = found.groups()
    number = its_port or port
    return unquote(bracketed or plain or ""), int(number) if number else None


def _verified(url: str, file: str) -> str:
    """Return the address with the CA in it: certificate and host name are verified.

    `sslmode=verify-ca` in the address spares the host name; one that may go without TLS or without
    a look at the certificate contradicts the file, and is refused.
    """
    try:
        ssl.create_default_context(cafile=file)
    except OSError as error:  # also ssl.SSLError: not a certificate
        raise errors.ConfigurationError(
            f"TIDEMILL_DATABASE_CA_FILE must be a file of certificates (got {file!r}): {error}"
        ) from None
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    mode = query.get("sslmode", "verify-full")
    if mode in _UNVERIFIED:
        raise errors.ConfigurationError(
            f"sslmode={mode} in the database's address verifies nothing, but "
            "TIDEMILL_DATABASE_CA_FILE is set: leave one of them out"
        )
    query |= {"sslrootcert": file, "sslmode": "verify-full" if mode == "require" else mode}
    return urlunsplit(parts._replace(query=urlencode(query, quote_via=quote)))


def _password(file: str) -> str:
    rule = "TIDEMILL_DATABASE_PASSWORD_FILE must be a readable file with the password in it"
    try:
        password = Path(file).read_text("utf-8").rstrip("\r\n")
    except OSError as error:
        raise errors.ConfigurationError(f"{rule} (got {file!r}): {error.strerror}") from None
    except UnicodeDecodeError:
        raise errors.ConfigurationError(f"{rule} (got {file!r}): it is not text") from None
    if not password:
        raise errors.ConfigurationError(f"{rule} (got {file!r}): it is empty")
    return password
