"""Draining beside many completed tasks that are kept."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from bench import history
from bench.case import Case
from bench.drain import LimitDrain, StoreDrain, WorkerDrain
from bench.findings import Finding
from bench.measure import Line, Sample, line, ratios
from bench.rounds import in_turn
from bench.server import Bed
from bench.shares import COLUMNS, row
from bench.subject import Say, Scale, Subject
from bench.target import Target


@dataclass(slots=True)
class Twice:
    """A case, round by round: in a database without a past, and in one that keeps it."""

    case: Case
    empty: list[Sample] = field(default_factory=list[Sample])
    full: list[Sample] = field(default_factory=list[Sample])

    async def run(self, targets: Sequence[Target], scale: Scale, number: int) -> None:
        """Run it in both, one of them first in turn."""
        pairs = list(zip(targets, (self.empty, self.full), strict=True))
        for target, samples in pairs if number % 2 == 0 else pairs[::-1]:
            samples.append(await self.case.run(target, scale.tasks))

    def lines(self) -> list[Line]:
        """Return both lines, the second as a share of the first."""
        name, meaning = self.case.name, self.case.meaning
        return [
            line(f"{name}, none", meaning, self.empty, None),
            line(f"{name}, retained", f"{meaning}; completed tasks", self.full, self.empty),
        ]


class Retained(Subject):
    """The same drains beside nothing and beside completed tasks."""

    name = "retained"

    async def run(self, bed: Bed, scale: Scale, say: Say) -> list[Finding]:
        """Measure."""
        cases = [Twice(each) for each in (LimitDrain(500, 2), StoreDrain(1000), WorkerDrain(1))]
        async with bed.database() as empty, bed.database() as full:
            say(f"retained: preparing {scale.many:,} completed tasks")
            await history.complete(full, scale.many)
            for number in range(scale.rounds):
                for each in in_turn(cases, number):
                    await each.run((empty, full), scale, number)
                    share = ratios(each.full[-1:], each.empty[-1:])[0]
                    say(f"retained {number + 1}/{scale.rounds} {each.case.name}: {share:.2f}")
        return [_finding(cases, scale)]


def _finding(cases: Sequence[Twice], scale: Scale) -> Finding:
    lines = [each for case in cases for each in case.lines()]
    limit, *others = cases
    shares = [f"{each.case.name} {_share(each, limit)}" for each in others]
    return Finding(
        name="retained",
        title=f"drains beside {scale.many:,} completed tasks, {scale.tasks:,} tasks a run, "
        f"{scale.rounds} rounds, medians",
        columns=(*COLUMNS[:-1], "of itself (min - max)"),
        rows=[row(each, "") for each in lines],
        figures={"completed": scale.many, "lines": [each.to_json() for each in lines]},
        notes=[f"shares of the limit, none and retained: {'; '.join(shares)}"],
    )


def _share(case: Twice, limit: Twice) -> str:
    pairs = ((case.empty, limit.empty), (case.full, limit.full))
    return " and ".join(f"{median(ratios(*each)):.2f}" for each in pairs)
