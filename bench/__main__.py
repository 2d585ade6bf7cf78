"""`python -m bench`: how fast Tidemill is, as a share of what its own SQL can do."""

import asyncio
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import click

from bench import drain, enqueue, report, rounds, server
from bench.case import BenchError
from bench.rounds import Result
from tidemill.errors import TidemillError

BATCHES = (100, 200, 500, 1000)
CONNECTIONS = (1, 2, 4)
SUBJECTS = ("drain", "enqueue")

_EXACT = "pg_stat_statements"
_TRANSACTIONS = "transactions of the database (pg_stat_database; here one a statement)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for on the command line."""

    tasks: int
    rounds: int
    database_url: str | None
    pg_bin: str | None
    write: Callable[[Mapping[str, str], str, Sequence[Result]], str]


@click.command(context_settings={"show_default": True})
@click.argument("subjects", nargs=-1, type=click.Choice(SUBJECTS))
@click.option("--tasks", type=click.IntRange(min=4000), help="Tasks a run.  [default: 60000]")
@click.option("--rounds", "count", type=click.IntRange(min=1), help="Rounds.  [default: 5]")
@click.option("--quick", is_flag=True, help="Under a minute: 12000 tasks, 2 rounds, fewer limits.")
@click.option("--database-url", help="A server to make a scratch database on; default: start one.")
@click.option("--pg-bin", help="Folder of the programs of the Postgres to start.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="Format.")
def main(  # noqa: PLR0917 - click passes them by name
    subjects: tuple[str, ...],
    tasks: int | None,
    count: int | None,
    quick: bool,
    database_url: str | None,
    pg_bin: str | None,
    output: str,
) -> None:
    """Measure SUBJECTS (drain, enqueue; default: both), each beside the limit of its own SQL.

    Results go to standard output, progress to standard error.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # tidied up as after Ctrl-C
    request = Request(
        tasks=tasks or (12_000 if quick else 60_000),
        rounds=count or (2 if quick else 5),
        database_url=database_url,
        pg_bin=pg_bin,
        write=report.to_json if output == "json" else report.text,
    )
    try:
        print(asyncio.run(_measure(_benches(subjects or SUBJECTS, quick=quick), request)))
    except (BenchError, TidemillError) as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)


def _benches(subjects: tuple[str, ...], *, quick: bool) -> list[rounds.Bench]:
    batches = BATCHES[1::2] if quick else BATCHES
    finalists = 2 if quick else 4
    known = {
        "drain": (drain.limits(batches, CONNECTIONS), drain.cases()),
        "enqueue": (enqueue.limits(batches, CONNECTIONS), enqueue.cases()),
    }
    return [rounds.Bench(subject, *known[subject], finalists) for subject in subjects]


async def _measure(benches: list[rounds.Bench], request: Request) -> str:
    async with server.target(request.database_url, request.pg_bin) as target:
        facts = await target.facts()
        _say(report.machine(facts))
        results = [
            await rounds.run(bench, target, tasks=request.tasks, rounds=request.rounds, say=_say)
            for bench in benches
        ]
        counted = _EXACT if target.exact_statements else _TRANSACTIONS
    return request.write(facts, counted, results)


def _say(line: str) -> None:
    click.echo(line, err=True)


if __name__ == "__main__":
    main()
