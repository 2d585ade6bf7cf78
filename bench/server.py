"""Where the measured database comes from: a server of our own, or one that is given."""

import secrets
import shutil
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from bench.case import BenchError
from bench.target import Target
from tidemill.db import Database
from tidemill.schema import migrate
from tidemill.settings import Settings
from tidemill_cli.local.account import account_for
from tidemill_cli.local.installs import Install, choose, read
from tidemill_cli.local.postgres import EmbeddedPostgres

STATEMENTS = "pg_stat_statements"

OPTIONS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "512MB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "1h",
    "max_connections": "300",
}
"""Of the private server: durable, and no checkpoint within a run."""


@dataclass(frozen=True, slots=True)
class Bed:
    """A server to make databases on, and its pgbench. `pid`: of the server, when it is our own."""

    admin_url: str
    pgbench: str
    pid: int | None

    @asynccontextmanager
    async def database(self) -> AsyncGenerator[Target]:
        """Yield a migrated scratch database, dropped at the end.

        Several at a time share the server, so that what is compared can run in turn.
        """
        name = f"tidemill_bench_{secrets.token_hex(4)}"
        admin = Database.of(_settings(self.admin_url), application="bench", pool_size=2)
        await admin.execute(f"CREATE DATABASE {name}")
        try:
            async with self._target(name) as found:
                yield found
        finally:
            await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
            await admin.close()

    @asynccontextmanager
    async def _target(self, name: str) -> AsyncGenerator[Target]:
        url = urlunsplit(urlsplit(self.admin_url)._replace(path=f"/{name}"))
        settings = _settings(url)
        database = Database.of(settings, application="bench", pool_size=2)
        try:
            await migrate(database)
            exact = await _load_statements(database)
            yield Target(url, self.pgbench, settings, database, exact, self.pid)
        finally:
            await database.close()


@contextmanager
def bed(database_url: str | None, pg_bin: str | None) -> Generator[Bed]:
    """Yield a server: the one at `database_url`, where we may create databases, or a private one.

    That is started of the programs in `pg_bin` or of the best found, and removed at the end. Raises
    BenchError, ConfigurationError.
    """
    if database_url:
        yield Bed(database_url, _pgbench(pg_bin), None)
        return
    with _private(pg_bin) as server:
        assert server.install is not None  # noqa: S101 - a started server has one
        yield Bed(server.url("postgres"), _pgbench(str(server.install.bin)), server.pid)


@contextmanager
def _private(pg_bin: str | None) -> Generator[EmbeddedPostgres]:
    folder = Path(tempfile.mkdtemp(prefix="tidemill-bench-"))
    folder.chmod(0o711)
    install = _install(pg_bin, folder)
    options = dict(OPTIONS)
    if _has_statements(install):
        options["shared_preload_libraries"] = STATEMENTS
    try:
        with EmbeddedPostgres(folder, install=install, options=options) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _install(pg_bin: str | None, folder: Path) -> Install:
    if pg_bin is None:
        return choose(account_for(folder))
    if found := read(Path(pg_bin), "--pg-bin"):
        return found
    raise BenchError(f"--pg-bin must be a folder with a Postgres server's programs (got {pg_bin})")


def _has_statements(install: Install) -> bool:
    root = install.bin.parent
    folders = (root / "lib", root / "lib" / "postgresql")
    return any((folder / f"{STATEMENTS}.so").exists() for folder in folders)


def _pgbench(pg_bin: str | None) -> str:
    """Return the path of pgbench: beside the server's programs, else on PATH."""
    own = Path(pg_bin) / "pgbench" if pg_bin else None
    if own and own.exists():
        return str(own)
    if found := shutil.which("pgbench"):
        return found
    raise BenchError("no pgbench found: give its folder with --pg-bin, or put it on PATH")


async def _load_statements(database: Database) -> bool:
    """Make pg_stat_statements available where the server has it loaded."""
    loaded = await database.fetchval("SELECT current_setting('shared_preload_libraries')")
    if STATEMENTS not in str(loaded):
        return False
    await database.execute(f"CREATE EXTENSION IF NOT EXISTS {STATEMENTS}")
    return True


def _settings(url: str) -> Settings:
    return Settings.load({}, database_url=url, database_statement_seconds=600)
