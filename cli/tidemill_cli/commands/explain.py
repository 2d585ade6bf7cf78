"""`tidemill explain`: the last scaling decision in words."""

import json
from datetime import UTC, datetime

import click

from tidemill.settings import Settings
from tidemill_cli.explaining import cluster, database
from tidemill_cli.explaining.told import Told, lines
from tidemill_cli.options import DATABASE, with_settings


@click.command(
    name="explain",
    epilog="""\b
Examples:
  tidemill explain tq/mail                the TaskQueue mail, asked of the cluster
  tidemill explain tq/mail -n tasks       of another namespace
  tidemill explain mail                   the queue mail, asked of the database
  tidemill explain mail --history 20      what was decided before, the newest first
  tidemill explain tq/mail -o json | jq .inputs
""",
)
@click.argument("what", metavar="tq/NAME|QUEUE")
@click.option("-n", "--namespace", help="Of the TaskQueue. [default: your context's]")
@click.option(
    "--history",
    type=click.IntRange(1, 1000),
    metavar="N",
    help="The last N decisions about a queue, the newest first. They are kept for 7 days.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    help="How to print it: for people or for programs.",
)
@with_settings(*DATABASE)
def command(
    settings: Settings, what: str, namespace: str | None, history: int | None, output: str
) -> int:
    """Say how many workers a queue has, and why.

    What the operator (or `tidemill up`) read, what its rules called for, and each bound that
    changed the result.
    """
    kind, slash, name = what.rpartition("/")
    if slash:
        found = [_of_cluster(kind, name, namespace, history)]
    elif namespace is not None:
        raise click.UsageError(f"--namespace goes with a TaskQueue: tq/{what}")
    else:
        found = database.of_queue(settings, what, limit=history or 1)
    if output == "json":
        told = [each.as_json() for each in found]
        one = told[0] if told else None
        click.echo(json.dumps(told if history else one, indent=2))
    else:
        click.echo("\n".join(_as_text(found, what)))
    return 0


def _of_cluster(kind: str, name: str, namespace: str | None, history: int | None) -> Told:
    if kind.lower() not in cluster.KINDS or not name:
        raise click.UsageError(f"must be tq/NAME or a queue's name (got {kind}/{name})")
    if history is not None:
        raise click.UsageError("--history goes with a queue's name: the database keeps decisions")
    return cluster.of_task_queue(name, namespace)


def _as_text(found: list[Told], queue: str) -> list[str]:
    if not found:
        return [f"queue {queue}: no decision in the last 7 days (does anything scale its workers?)"]
    now = datetime.now(UTC)
    return [line for each in found for line in lines(each, now)]
