"""What is printed: text for people, JSON for machines. Pure."""

import json
from collections.abc import Mapping, Sequence

from bench.measure import Line
from bench.rounds import Result

_HEAD = (
    f"{'':<28}{'tasks/s':>8} {'min - max':>17} "
    f"{'WAL B':>6} {'stmts':>7} {'server':>7} {'client':>7}"
    "  ratio (min - max)\n"
    f"{'':<28}{'':>8} {'':>17} {'/task':>6} {'/task':>7} {'µs/task':>7} {'µs/task':>7}"
)


def text(facts: Mapping[str, str], counted: str, results: Sequence[Result]) -> str:
    """Return the tables of all results, the machine on top."""
    parts = [machine(facts), f"statements: {counted}"]
    parts += [table(result) for result in results]
    return "\n\n".join(parts)


def machine(facts: Mapping[str, str]) -> str:
    """Return the machine and the server in one line."""
    return ", ".join(f"{name} {value}" for name, value in facts.items())


def table(result: Result) -> str:
    """Return one result, the limit first."""
    head = f"{result.name}: {result.tasks:,} tasks a run, {result.rounds} rounds, medians"
    lines = [_line(result.limit), *map(_line, result.cases)]
    return "\n".join([head, _HEAD, *lines])


def to_json(facts: Mapping[str, str], counted: str, results: Sequence[Result]) -> str:
    """Return everything as one JSON object."""
    found = {
        "machine": dict(facts),
        "statements_counted_by": counted,
        "results": [
            {
                "name": result.name,
                "tasks": result.tasks,
                "rounds": result.rounds,
                "limit": result.limit.to_json(),
                "limit_tries_tasks_per_second": result.tries,
                "cases": [each.to_json() for each in result.cases],
            }
            for result in results
        ],
    }
    return json.dumps(found, indent=2)


def _line(line: Line) -> str:
    rate, ratio = line.tasks_per_second, line.ratio
    span = f"{rate.least:,.0f} - {rate.most:,.0f}"
    share = (
        "the limit"
        if ratio is None
        else f"{ratio.median:.2f} ({ratio.least:.2f} - {ratio.most:.2f})"
    )
    return (
        f"{line.name:<28}{rate.median:>8,.0f} {span:>17} {line.wal_bytes_per_task:>6,.0f} "
        f"{line.statements_per_task:>7.4f} {_number(line.server_microseconds)} "
        f"{_number(line.client_microseconds)}  {share}"
    )


def _number(value: float | None) -> str:
    return f"{'-' if value is None else f'{value:.1f}':>7}"
