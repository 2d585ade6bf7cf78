"""`tidemill doctor`: what is wrong with the database, and what to do about it."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import asdict

import click

from tidemill.doctor import Finding, Level, Report, examine
from tidemill.settings import Settings
from tidemill_cli.options import DATABASE, with_settings

COLOURS = {Level.OK: "green", Level.NOTE: "cyan", Level.WARNING: "yellow", Level.PROBLEM: "red"}
FAIL_ON = {
    "note": Level.NOTE,
    "warning": Level.WARNING,
    "problem": Level.PROBLEM,
    "never": None,
}


@click.command(
    name="doctor",
    epilog="""\b
Examples:
  tidemill doctor
  tidemill doctor --fail-on problem          exit code 1 only for problems
  tidemill doctor -o json | jq '.findings[] | select(.level != "ok")'
""",
)
@click.option(
    "--fail-on",
    type=click.Choice(list(FAIL_ON)),
    default="warning",
    show_default=True,
    help="The least level that makes the exit code 1.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    help="How to print it: for people or for programs.",
)
@with_settings(*DATABASE)
def command(settings: Settings, fail_on: str, output: str) -> int:
    """Look at the database's health: what holds back vacuum, what is missing, what waits.

    Changes nothing and is safe at any time. Give it the settings that your processes have: it then
    looks through the same pooler and with the same login.
    """
    report = asyncio.run(examine(settings))
    click.echo(as_json(report) if output == "json" else "\n".join(as_text(report)))
    least = FAIL_ON[fail_on]
    return int(least is not None and report.level.rank >= least.rank)


def as_json(report: Report) -> str:
    """Return the report as an object; `level` is the worst of all findings."""
    told = {"level": report.level, "database": report.database}
    return json.dumps(told | {"findings": [asdict(each) for each in report.findings]}, indent=2)


def as_text(report: Report) -> Iterator[str]:
    """Yield the lines for a person: the worst first, advice below its finding."""
    width = max(len(each.check) for each in report.findings)
    yield report.database
    yield ""
    for each in sorted(report.findings, key=lambda each: -each.level.rank):
        yield from _lines(each, width)
    yield ""
    counts = [(report.count(level), level) for level in reversed(Level)]
    yield ", ".join(f"{count} {_named(level, count)}" for count, level in counts)


def _lines(each: Finding, width: int) -> Iterator[str]:
    level = click.style(f"{each.level:7}", fg=COLOURS[each.level], bold=each.level.rank > 1)
    yield f"{level}  {each.check:{width}}  {each.finding}"
    if each.advice:
        yield f"{'':7}  {'':{width}}  {click.style('->', dim=True)} {each.advice}"


def _named(level: Level, count: int) -> str:
    return level if level is Level.OK or count == 1 else f"{level}s"
