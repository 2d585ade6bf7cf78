"""asyncpg's errors in our own words, and what each says about the session that it came from.

Every message is one line: a server's DETAIL may hold rows, its HINT is for a person at a prompt.
"""

import ssl
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

import asyncpg

from tidemill import errors

CANNOT_BE_USED: Final = "the database cannot be used: "

AWAY: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shutdown, time limits of sessions and statements
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InsufficientResourcesError,  # connections, memory, disk
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.LockNotAvailableError,
    asyncpg.TransactionRollbackError,  # deadlock, serialization: nothing happened
    asyncpg.InvalidCachedStatementError,  # made for the tables before a migration: nor here
    asyncpg.InternalClientError,  # a session whose end was announced and not yet noticed
    ConnectionError,
    OSError,
    TimeoutError,
)
"""What passes when the same is tried again, later or elsewhere."""

_REFUSED: Final = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
)
# PgBouncer has one code for all that it does not like.
_POOLER_REFUSES: Final = (
    "authentication failed",
    "no such user",
    "no such database",
    "does not exist",
)
_UNDONE: Final = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.InvalidCachedStatementError,
)
_CUT_SHORT: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
)
_UNUSABLE: Final = (
    asyncpg.InternalClientError,  # its protocol is in a state that asyncpg cannot leave
    asyncpg.ReadOnlySQLTransactionError,  # a server that is not the primary any more
    TimeoutError,  # silent for longer than Postgres lets a statement run
)
_TIDEMILL_CODES: Final[dict[str, Callable[[str], errors.TidemillError]]] = {
    "TM400": lambda message: errors.InvalidTask(_fault(message)),
    "TM404": lambda message: errors.UnknownType(_fault(message)),
    "TM409": errors.IdempotencyConflict,
    "TM429": errors.QueueFull,
}


def of_code(code: str, message: str) -> errors.TidemillError | None:
    """Return the error that Tidemill's functions raise with this SQLSTATE, or None for others."""
    if code not in _TIDEMILL_CODES:
        return None
    return _TIDEMILL_CODES[code](message.partition("\n")[0])


def undone(error: errors.DatabaseUnavailable) -> bool:
    """Whether Postgres says that the transaction did nothing, and would do if tried again."""
    return isinstance(error.__cause__, _UNDONE)


def unusable(error: errors.DatabaseUnavailable) -> bool:
    """Whether the session that `error` came from must not be used again."""
    return isinstance(error.__cause__, _UNUSABLE)


def elsewhere(error: errors.DatabaseUnavailable) -> bool:
    """Whether the server is no primary any more, so that all its sessions are of no use."""
    return isinstance(error.__cause__, asyncpg.ReadOnlySQLTransactionError)


def unheard(error: errors.DatabaseUnavailable) -> bool:
    """Whether the database's word on a statement is missing, so that it may have been done.

    What Postgres itself calls failed was not; but a server that stops may cut in after a commit.
    """
    said = isinstance(error.__cause__, asyncpg.PostgresError)
    return not said or isinstance(error.__cause__, _CUT_SHORT)


@contextmanager
def translated(where: str = "") -> Generator[None]:
    """Turn asyncpg's errors into ours: DatabaseUnavailable, DatabaseRefused, InvalidTask and so on.

    `where` names the server. Other errors (a bug in a statement, say) pass as they are.
    """
    try:
        yield
    except asyncpg.PostgresError as error:
        if (ours := _translation(error, where)) is None:
            raise
        raise ours from error
    except asyncpg.ClientConfigurationError as error:
        raise errors.ConfigurationError(f"the database's address: {_told(error)}") from None
    except asyncpg.InterfaceError as error:
        # Also what asyncpg raises for our own mistakes, such as a parameter too few.
        # The pool takes back at once what was closed under its borrower.
        if not any(word in str(error) for word in ("clos", "released back to the pool")):
            raise
        raise errors.DatabaseUnavailable(f"{CANNOT_BE_USED}the session has ended") from error
    except ssl.SSLCertVerificationError as error:
        raise errors.DatabaseRefused(
            f"the certificate of the database{where and ' ' + where} cannot be trusted: "
            f"{error.verify_message} (see TIDEMILL_DATABASE_CA_FILE)"
        ) from error
    except AWAY as error:
        raise errors.DatabaseUnavailable(_described(error, where)) from error


def _translation(error: asyncpg.PostgresError, where: str) -> errors.TidemillError | None:
    code = getattr(error, "sqlstate", "") or ""
    if ours := of_code(code, str(error)):
        return ours
    if isinstance(error, _REFUSED) or _pooler_refuses(error):
        return errors.DatabaseRefused(f"the database refused: {_told(error)}")
    if isinstance(error, AWAY) or _lacks_partition(error):
        return errors.DatabaseUnavailable(_described(error, where))
    return None


def _pooler_refuses(error: asyncpg.PostgresError) -> bool:
    return isinstance(error, asyncpg.ProtocolViolationError) and any(
        words in str(error) for words in _POOLER_REFUSES
    )


def _lacks_partition(error: asyncpg.PostgresError) -> bool:
    """Whether a day has no partition (yet): after a week's sleep, until maintenance has made it."""
    # a row without a partition violates no constraint that has a name
    return isinstance(error, asyncpg.CheckViolationError) and not error.constraint_name


def _fault(message: str) -> errors.Fault:
    field, _, rule = message.partition(": ")  # the form of every message that 0001 raises
    return errors.Fault(field, rule)


def _described(error: BaseException, where: str) -> str:
    told = _told(error) or ("no answer in time" if isinstance(error, TimeoutError) else "")
    return f"{CANNOT_BE_USED}{where and where + ': '}{told or type(error).__name__}"


def _told(error: BaseException) -> str:
    return str(error).partition("\n")[0].strip()
