"""`tidemill migrate`: the schema's version in the database."""

import asyncio
import json
from dataclasses import asdict

import click

from tidemill.db import Database, wait_for_database
from tidemill.schema import SchemaStatus, migrate, status
from tidemill.settings import Settings
from tidemill_cli.options import DATABASE, LOGS, with_settings


@click.command(
    name="migrate",
    epilog="""\b
Examples:
  tidemill migrate                    apply what is missing; others wait meanwhile
  tidemill migrate --status           say how database and code stand; 1 = they do not fit
  tidemill migrate --status -o json
""",
)
@click.option("--to", type=int, metavar="N", help="Stop after migration N. [default: the newest]")
@click.option("--status", "only_status", is_flag=True, help="Change nothing; say how it stands.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    help="How to print it: for people or for programs.",
)
@with_settings(*DATABASE, *LOGS)
def command(settings: Settings, to: int | None, only_status: bool, output: str) -> int:
    """Bring the database to this version's schema.

    Safe to run at any time and from several places at once. A schema of newer code is left alone.
    The login must be allowed to create the schema and the tidemill_* roles.
    """
    if only_status and to is not None:
        raise click.UsageError("--to and --status exclude each other")
    applied, found = asyncio.run(_migrate(settings, to=to, apply=not only_status))
    if output == "json":
        click.echo(json.dumps({"applied": applied, "fits": found.fits, **asdict(found)}))
    else:
        for name in applied:
            click.echo(f"applied {name}")
        click.echo(found.explain())
    return 1 if only_status and not found.fits else 0


async def _migrate(
    settings: Settings, *, to: int | None, apply: bool
) -> tuple[list[str], SchemaStatus]:
    database = Database.of(settings, application="tidemill migrate", pool_size=1, direct=True)
    try:
        await wait_for_database(database, settings.database_wait_seconds)
        applied = await migrate(database, to=to) if apply else []
        return applied, await status(database)
    finally:
        await database.close()
