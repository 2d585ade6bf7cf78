"""A real standby of a test's server: a copy of its files that follows it."""

import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from tests.support.waiting import until
from tidemill_cli.local.account import account_for
from tidemill_cli.local.postgres import EmbeddedPostgres

OPTIONS = {"max_connections": "300", "hot_standby": "on"}


@contextmanager
def standby_of(primary: EmbeddedPostgres) -> Generator[EmbeddedPostgres]:
    """Yield a started standby that has all that `primary` has; it restarts the primary."""
    folder = Path(tempfile.mkdtemp(prefix="tidemill-test-"))
    folder.chmod(0o711)
    try:
        primary.stop()
        _copy(primary.data_dir, folder)
        primary.start()
        login = urlsplit(primary.url())
        source = (
            f"host={login.hostname} port={login.port} user={login.username} "
            f"password={login.password}"
        )
        options = OPTIONS | {"primary_conninfo": source}
        with EmbeddedPostgres(
            folder, install=primary.install, throwaway=True, options=options
        ) as standby:
            yield standby
    finally:
        shutil.rmtree(folder)


def _copy(source: Path, target: Path) -> None:
    account = account_for(source / "postgres")
    shutil.copytree(source / "postgres", target / "postgres")
    shutil.copy2(source / "password", target / "password")
    (target / "postgres" / "standby.signal").touch()
    for parent, _, files in os.walk(target / "postgres"):
        for name in (".", *files):
            account.own(Path(parent) / name)


def caught_up(primary: EmbeddedPostgres, standby: EmbeddedPostgres) -> None:
    """Return once the standby has all that the primary has now."""
    with psycopg.connect(primary.url()) as one, psycopg.connect(standby.url()) as other:
        row = one.execute("SELECT pg_current_wal_lsn()").fetchone()
        assert row is not None
        replayed = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"

        def reached() -> bool:
            return other.execute(replayed, row).fetchone() == (True,)

        other.autocommit = True
        until(reached, seconds=60, what="the standby has replayed what the primary wrote")


def promote(standby: EmbeddedPostgres) -> None:
    """Make the standby a primary, and return once it is one."""
    with psycopg.connect(standby.url(), autocommit=True) as session:
        assert session.execute("SELECT pg_promote()").fetchone() == (True,)


def set_read_only(server: EmbeddedPostgres, *, to: bool) -> None:
    """Let a server take no writes any more, its sessions included; or again."""
    with psycopg.connect(server.url(), autocommit=True) as session:
        session.execute("SET default_transaction_read_only = off")
        session.execute(f"ALTER SYSTEM SET default_transaction_read_only = {to}".encode())
        session.execute("SELECT pg_reload_conf()")
        shown = "SELECT setting FROM pg_file_settings WHERE name = 'default_transaction_read_only'"
        assert session.execute(shown).fetchone()
