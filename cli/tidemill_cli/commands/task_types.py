"""`tidemill types`: what the API knows of an app's task types."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any, Final

import click

from tidemill.app import App, load_app
from tidemill.db import Database
from tidemill.errors import NotFound
from tidemill.models import TaskType
from tidemill.schema import wait_for_schema
from tidemill.settings import Settings
from tidemill.store import Store, schedule_sets
from tidemill.store.type_sets import Change, Difference, differences, values
from tidemill_cli.options import DATABASE, LOGS, naming_app, with_settings

_MARKS: Final = {Change.NEW: "+", Change.CHANGED: "~", Change.UNCHANGED: " ", Change.GONE: "-"}
_LONG: Final = ("schema", "payload", "headers")  # told without its values

_output = click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    help="How to print it: for people or for programs.",
)


@click.group(
    name="types",
    epilog="""\b
Examples:
  tidemill types list
  tidemill types apply --app examples.demo:app
""",
)
def command() -> None:
    """Register an app's task types, so that the API can check payloads at enqueue."""


@command.command(
    name="apply",
    epilog="""\b
Examples:
  tidemill types apply --app examples.demo:app
  tidemill types apply --app examples.demo:app --dry-run    say what would change; 1 = something
  tidemill types apply --app examples.demo:app --prune      remove what the app no longer has
""",
)
@click.argument("named", metavar="[APP]", required=False)
@click.option("--dry-run", is_flag=True, help="Change nothing; exit code 1 if something would.")
@click.option("--prune", is_flag=True, help="Remove what this app registered and no longer has.")
@_output
@with_settings("app", *DATABASE, *LOGS)
def apply(settings: Settings, named: str | None, *, dry_run: bool, prune: bool, output: str) -> int:
    """Register the task types and schedules of APP; wait until the database's schema is there.

    The newest registration of a name wins, whatever app it comes from. What other apps registered
    is never removed.
    """
    settings = naming_app(settings, named)
    app = load_app(settings.app)
    types, schedules = asyncio.run(_applied(settings, app, dry_run=dry_run, prune=prune))
    if output == "json":
        click.echo(_json(settings.app, types, schedules, dry_run=dry_run, prune=prune))
    else:
        for line in _told(settings.app, types, "task type", dry_run=dry_run, prune=prune):
            click.echo(line)
        if schedules:
            for line in _told(settings.app, schedules, "schedule", dry_run=dry_run, prune=prune):
                click.echo(line)
    return int(dry_run and any(_acted_on(each, prune=prune) for each in (*types, *schedules)))


@command.command(
    name="list",
    epilog="""\b
Examples:
  tidemill types list
  tidemill types list -o json | jq '.[].name'
""",
)
@_output
@with_settings(*DATABASE, *LOGS)
def list_(settings: Settings, output: str) -> None:
    """Show the registered task types: their app, queue and defaults."""
    known = asyncio.run(_known(settings))
    if output == "json":
        shown = [{"name": k.name, "app": k.app, "paused": k.paused, **values(k)} for k in known]
        click.echo(json.dumps(shown, indent=2, ensure_ascii=False))
    else:
        for line in _table(known):
            click.echo(line)


async def _known(settings: Settings) -> list[TaskType]:
    database = Database.of(settings, application="tidemill types", pool_size=1)
    try:
        await wait_for_schema(database, settings.database_wait_seconds)
        return await Store.of(database).types.list()
    finally:
        await database.close()


async def _applied(
    settings: Settings, app: App, *, dry_run: bool, prune: bool
) -> tuple[list[Difference], list[Difference]]:
    """Return what changes among task types, and among schedules."""
    database = Database.of(settings, application="tidemill types", pool_size=1)
    try:
        await wait_for_schema(database, settings.database_wait_seconds)
        store, name = Store.of(database), settings.app
        types = differences(await store.types.list(), app.types(), name)
        known = await store.schedules.list()
        schedules = schedule_sets.differences(known, app.schedules, name)
        if not dry_run:
            await store.types.register(app.types(), app=name)
            await store.schedules.register(app.schedules, app=name)
        if prune and not dry_run:
            # schedules first: none must fire for a type that is gone
            await _delete_gone(schedules, store.schedules.delete)
            await _delete_gone(types, store.types.delete)
        return types, schedules
    finally:
        await database.close()


async def _delete_gone(
    found: Sequence[Difference], delete: Callable[[str], Awaitable[object]]
) -> None:
    for each in found:
        if each.change is Change.GONE:
            with suppress(NotFound):  # another apply was quicker
                await delete(each.name)


def _acted_on(each: Difference, *, prune: bool) -> bool:
    return each.change is not Change.UNCHANGED and (prune or each.change is not Change.GONE)


def _told(
    app: str, found: Sequence[Difference], noun: str, *, dry_run: bool, prune: bool
) -> Iterator[str]:
    kind = "" if noun == "task type" else f"{noun} "
    for each in found:
        yield f"{_MARKS[each.change]} {kind}{each.name}{_detail(each, prune=prune)}"
    counts = {change: sum(each.change is change for each in found) for change in Change}
    summary = ", ".join(f"{count} {change}" for change, count in counts.items() if count)
    act = "would register" if dry_run else "registered"
    count = len(found) - counts[Change.GONE]
    yield f"{act} {count} {noun}{'' if count == 1 else 's'} of {app}: {summary or 'none'}"


def _detail(each: Difference, *, prune: bool) -> str:
    if each.change is Change.GONE:
        return "  removed" if prune else "  not in the app any more (--prune removes it)"
    told = [
        f"{name} differs" if name in _LONG else f"{name} {json.dumps(old)} -> {json.dumps(new)}"
        for name, (old, new) in each.fields.items()
    ]
    told += [f"was of {each.other_app}"] if each.other_app else []
    return f"  {', '.join(told)}" if told else ""


def _json(
    app: str,
    types: Sequence[Difference],
    schedules: Sequence[Difference],
    *,
    dry_run: bool,
    prune: bool,
) -> str:
    told = {
        "app": app,
        "dry_run": dry_run,
        "prune": prune,
        "types": [_as_object(each) for each in types],
        "schedules": [_as_object(each) for each in schedules],
    }
    return json.dumps(told, indent=2, ensure_ascii=False)


def _as_object(each: Difference) -> dict[str, Any]:
    fields = {name: {"from": old, "to": new} for name, (old, new) in each.fields.items()}
    return asdict(each) | {"fields": fields}


def _table(known: Sequence[TaskType]) -> Iterator[str]:
    rows: list[tuple[str, ...]] = [
        ("TYPE", "APP", "QUEUE", "PRIORITY", "RETRIES", "TIMEOUT", "PAUSED")
    ]
    rows += [
        (
            each.name,
            each.app or "-",
            *(_shown(getattr(each, name)) for name in ("queue", "priority", "max_retries")),
            _shown(each.timeout_seconds, " s"),
            "yes" if each.paused else "no",
        )
        for each in known
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def _shown(value: object, unit: str = "") -> str:
    number = f"{value:g}" if isinstance(value, float) else str(value)
    return "-" if value is None else f"{number}{unit}"
