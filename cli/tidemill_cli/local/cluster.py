"""The files of a local Postgres: made once, by `initdb`, whole or not at all."""

import secrets
import shutil
from pathlib import Path

from tidemill.errors import DatabaseUnavailable
from tidemill_cli.local.account import Account
from tidemill_cli.local.installs import Install

SUPERUSER = "tidemill"
DATABASE = "tidemill"


def major_of(data: Path) -> int | None:
    """Return the version of Postgres that made `data`, or None if there is nothing yet."""
    version = data / "PG_VERSION"
    return int(version.read_text().split(".")[0]) if version.exists() else None


def ensure_password(path: Path) -> str:
    """Return the password kept in `path` (mode 0600), made up when there is none."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(24))
    return path.read_text().strip()


def create(data: Path, install: Install, account: Account, password: str, *, sync: bool) -> None:
    """Make a cluster in `data` with the superuser and the database `tidemill`.

    It is built beside `data` and renamed: an interrupted attempt leaves nothing half done.
    `sync=False` is for throw-away servers. Raises DatabaseUnavailable with initdb's own words.
    """
    partial = data.with_name(f"{data.name}.new")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    account.own(partial)
    secret = partial.with_name(f"{partial.name}.password")
    secret.touch(mode=0o600)
    try:
        secret.write_text(password)
        account.own(secret)
        _initdb(partial, install, account, secret, sync=sync)
    finally:
        secret.unlink()
    _alone(partial, install, account, f"CREATE DATABASE {DATABASE};")
    partial.rename(data)


def _initdb(data: Path, install: Install, account: Account, secret: Path, *, sync: bool) -> None:
    made = account.run(
        [
            install.program("initdb"),
            *("--pgdata", str(data), "--username", SUPERUSER, "--pwfile", str(secret)),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C"),
            *([] if sync else ["--no-sync"]),
        ]
    )
    if made.returncode:
        raise DatabaseUnavailable(f"initdb of Postgres {install} failed: {_last(made.stderr)}")


def set_password(data: Path, install: Install, account: Account, password: str) -> None:
    """Give the superuser of an existing, stopped cluster this password: the kept one was lost."""
    _alone(data, install, account, f"ALTER USER {SUPERUSER} PASSWORD '{password}';")


def _alone(data: Path, install: Install, account: Account, statement: str) -> None:
    """Run a statement in single-user mode, which needs neither a client, a port nor a password."""
    made = account.run(
        [install.program("postgres"), "--single", "-D", str(data), "postgres"],
        stdin=f"{statement}\n",
    )
    if made.returncode or "ERROR" in made.stderr or "FATAL" in made.stderr:
        raise DatabaseUnavailable(f"preparing the database failed: {_last(made.stderr)}")


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
