"""A subject of cases that do the same work: each as a share of the limit, round by round."""

from collections.abc import Callable, Sequence

from bench import rounds
from bench.case import Case
from bench.findings import Finding, number
from bench.measure import Line
from bench.server import Bed
from bench.subject import Say, Scale, Subject

COLUMNS = (
    *("tasks/s", "min - max", "WAL B/task", "stmts/task", "server µs", "client µs"),
    "ratio (min - max)",
)

Limits = Callable[[Sequence[int], Sequence[int]], list[Case]]


class Shares(Subject):
    """Runs limit and cases in turn on one database."""

    def __init__(self, name: str, limits: Limits, cases: Sequence[Case]) -> None:
        """Hold `cases` against the best of `limits(batches, connections)`."""
        self.name = name
        self._limits, self._cases = limits, cases

    async def run(self, bed: Bed, scale: Scale, say: Say) -> list[Finding]:
        """Measure."""
        limits = self._limits(scale.batches, scale.connections)
        bench = rounds.Bench(self.name, limits, self._cases, scale.finalists)
        async with bed.database() as target:
            result = await rounds.run(
                bench, target, tasks=scale.tasks, rounds=scale.rounds, say=say
            )
        return [finding(result)]


def finding(result: rounds.Result) -> Finding:
    """Return a result as a finding, the limit first."""
    return Finding(
        name=result.name,
        title=f"{result.tasks:,} tasks a run, {result.rounds} rounds, medians",
        columns=COLUMNS,
        rows=[row(each) for each in (result.limit, *result.cases)],
        figures={
            "tasks": result.tasks,
            "rounds": result.rounds,
            "limit": result.limit.to_json(),
            "limit_tries_tasks_per_second": result.tries,
            "cases": [each.to_json() for each in result.cases],
        },
        notes=[_tried(result)],
    )


def row(line: Line, alone: str = "the limit") -> list[str]:
    """Return a line of the table; `alone` stands where there is no ratio."""
    rate, ratio = line.tasks_per_second, line.ratio
    return [
        line.name,
        f"{rate.median:,.0f}",
        f"{rate.least:,.0f} - {rate.most:,.0f}",
        number(line.wal_bytes_per_task, 0),
        number(line.statements_per_task, 4),
        number(line.server_microseconds),
        number(line.client_microseconds),
        alone if ratio is None else f"{ratio.median:.2f} ({ratio.least:.2f} - {ratio.most:.2f})",
    ]


def _tried(result: rounds.Result) -> str:
    tries = ", ".join(f"{name[5:]}: {rate:,.0f}" for name, rate in result.tries.items())
    return f"the limit's settings, tried once (connections x batch, tasks/s): {tries}"
