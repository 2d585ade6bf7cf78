"""`tidemill config`: every setting."""

import click

from tidemill.settings import Settings
from tidemill_cli import configuration
from tidemill_cli.options import with_settings


@click.command(
    name="config",
    epilog="""\b
Examples:
  tidemill config                              what a process here would use
  tidemill config -o json | jq .TIDEMILL_APP
  tidemill config -o markdown                  docs/configuration.md
""",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "markdown", "env"]),
    default="text",
    help="How to print it: for people, for programs, as documentation, as .env.example.",
)
@with_settings()
def command(settings: Settings, output: str) -> None:
    """Show every setting: its variable and its value here, passwords masked."""
    if output == "markdown":
        click.echo(configuration.markdown(), nl=False)
    elif output == "env":
        click.echo(configuration.env(), nl=False)
    elif output == "json":
        click.echo(configuration.as_json(settings))
    else:
        click.echo(configuration.text(settings))
