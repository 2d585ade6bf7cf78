"""`tidemill types`: what the API knows of an app's task types."""

import asyncio

import click

from tidemill.app import load_app
from tidemill.db import Database
from tidemill.models import TaskType
from tidemill.schema import wait_for_schema
from tidemill.settings import Settings
from tidemill.store import Store
from tidemill_cli.options import DATABASE, LOGS, with_settings


@click.group(name="types")
def command() -> None:
    """Register an app's task types, so that the API can check payloads at enqueue."""


@command.command(
    name="apply",
    epilog="""\b
Example:
  tidemill types apply --app examples.demo:app
""",
)
@with_settings("app", *DATABASE, *LOGS)
def apply(settings: Settings) -> None:
    """Register the task types of --app; wait until the database's schema is there."""
    if not settings.app:
        raise click.UsageError("--app must be given: package.module:attribute")
    types = load_app(settings.app).types()
    asyncio.run(_register(settings, types))
    names = ", ".join(each.name for each in types) or "none"
    click.echo(f"registered {len(types)} task types of {settings.app}: {names}")


async def _register(settings: Settings, types: list[TaskType]) -> None:
    database = Database.of(settings, application="tidemill types", pool_size=1)
    try:
        await wait_for_schema(database, settings.database_wait_seconds)
        await Store.of(database).types.register(types, app=settings.app)
    finally:
        await database.close()
