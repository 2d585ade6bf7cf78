"""`python -m bench`: how fast Tidemill is, as a share of what its own SQL can do."""

import asyncio
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import click

from bench import report, server, subjects
from bench.case import BenchError
from bench.findings import Finding
from bench.subject import FULL, QUICK, Scale, Subject
from tidemill.errors import TidemillError

_EXACT = "pg_stat_statements"
_TRANSACTIONS = "transactions of the database (pg_stat_database; here one a statement)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for on the command line."""

    subjects: Sequence[Subject]
    scale: Scale
    database_url: str | None
    pg_bin: str | None
    write: Callable[[Mapping[str, str], str, Sequence[Finding]], str]


@click.command(context_settings={"show_default": True})
@click.option(
    "--case",
    "cases",
    multiple=True,
    type=click.Choice(list(subjects.ALL)),
    help="What to measure; may be given several times.  [default: all but scaling-*]",
)
@click.option("--quick", is_flag=True, help="A minute or so: small figures, to see that it works.")
@click.option("--tasks", type=click.IntRange(min=4000), help="Tasks a run.  [default: 50000]")
@click.option("--rounds", type=click.IntRange(min=1), help="Rounds.  [default: 3]")
@click.option("--database-url", help="A server to make scratch databases on; default: start one.")
@click.option("--pg-bin", help="Folder of the programs of the Postgres to start.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of tables.")
def main(  # noqa: PLR0917 - click passes them by name
    cases: tuple[str, ...],
    quick: bool,
    tasks: int | None,
    rounds: int | None,
    database_url: str | None,
    pg_bin: str | None,
    as_json: bool,
) -> None:
    """Measure Tidemill, each figure beside the limit of its own SQL.

    Results go to standard output, progress to standard error.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # tidied up as after Ctrl-C
    scale = QUICK if quick else FULL
    request = Request(
        subjects=[subjects.ALL[name] for name in cases or subjects.DEFAULT],
        scale=replace(scale, tasks=tasks or scale.tasks, rounds=rounds or scale.rounds),
        database_url=database_url,
        pg_bin=pg_bin,
        write=report.to_json if as_json else report.text,
    )
    try:
        print(asyncio.run(_measure(request)))
    except (BenchError, TidemillError) as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)


async def _measure(request: Request) -> str:
    with server.bed(request.database_url, request.pg_bin) as bed:
        async with bed.database() as target:
            facts = await target.facts()
            counted = _EXACT if target.exact_statements else _TRANSACTIONS
        _say(report.machine(facts))
        findings: list[Finding] = []
        for subject in request.subjects:
            began = time.monotonic()
            for finding in await subject.run(bed, request.scale, _say):
                _say(f"\n{report.table(finding)}")
                findings.append(finding)
            _say(f"({subject.name} took {time.monotonic() - began:.0f} s)\n")
    return request.write(facts, counted, findings)


def _say(line: str) -> None:
    click.echo(line, err=True)


if __name__ == "__main__":
    main()
