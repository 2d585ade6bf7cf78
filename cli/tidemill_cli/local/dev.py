"""For development: `python -m tidemill_cli.local.dev shell|doctor|migrate-up|migrate-down`.

Each works on TIDEMILL_DATABASE_URL, or else on the Postgres of a `tidemill up` that runs now.
"""

import argparse
import asyncio
import os
import shutil
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import click

from tidemill.db import Database
from tidemill.errors import ConfigurationError, TidemillError
from tidemill.schema import migrate, migrate_down
from tidemill.settings import Settings
from tidemill_cli.local import folders, installs, postgres


def url_here(settings: Settings) -> str:
    """Return the address to work on. Raises ConfigurationError when there is none."""
    if settings.database_url:
        return settings.direct_url
    folder = folders.data_dir(settings.data_dir, os.environ)
    if url := postgres.url_of_running(folder):
        return url
    raise ConfigurationError(
        f"no database: `make run` is not running (looked in {folder}), "
        "and TIDEMILL_DATABASE_URL is not set"
    )


def shell(url: str) -> None:
    """Become psql; the password travels in the environment."""
    parts = urlsplit(url)
    if parts.password:
        os.environ["PGPASSWORD"] = unquote(parts.password)
        parts = parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", "@"))
    program = _psql()
    os.execv(program, [program, urlunsplit(parts)])  # noqa: S606 - no shell is the point


def doctor(url: str) -> None:
    """Become `tidemill doctor`; the address travels in the environment."""
    os.environ["TIDEMILL_DATABASE_URL"] = url
    os.execv(sys.executable, [sys.executable, "-m", "tidemill_cli", "doctor"])  # noqa: S606 - as above


def migrate_up(url: str) -> None:
    """Apply what is missing."""
    applied = asyncio.run(_with_database(url, migrate))
    click.echo("\n".join(f"applied {name}" for name in applied) or "nothing to apply")


def drop(url: str) -> None:
    """Drop the schema, after asking."""
    parts = urlsplit(url)
    where = f"{parts.hostname or 'the local socket'}:{parts.port or 5432}{parts.path}"
    if os.environ.get("FORCE") != "1":
        typed = input(f"All tasks of {where} will be deleted. Type yes: ") if _asks() else ""
        if typed.strip() != "yes":
            raise ConfigurationError("nothing was dropped: type yes, or set FORCE=1")
    dropped = asyncio.run(_with_database(url, migrate_down))
    click.echo("dropped the schema tidemill" if dropped else "there was no schema tidemill")


COMMANDS: dict[str, Callable[[str], None]] = {
    "shell": shell,
    "doctor": doctor,
    "migrate-up": migrate_up,
    "migrate-down": drop,
}


def main() -> int:
    """Run one of them; an error is one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    chosen = parser.parse_args().command
    try:
        COMMANDS[chosen](url_here(Settings.load(os.environ)))
    except TidemillError as error:
        click.echo(f"tidemill: {error}", err=True)
        return 1
    return 0


async def _with_database(url: str, act: Callable[[Database], Awaitable[list[str]]]) -> list[str]:
    database = Database.of(Settings.load({}, database_url=url), application="tidemill dev")
    try:
        return await act(database)
    finally:
        await database.close()


def _psql() -> str:
    if on_path := shutil.which("psql"):
        return on_path
    for install in installs.installs():
        if Path(install.program("psql")).exists():
            return install.program("psql")
    raise ConfigurationError("psql was not found: install your system's Postgres client")


def _asks() -> bool:
    return sys.stdin.isatty()


if __name__ == "__main__":
    sys.exit(main())
