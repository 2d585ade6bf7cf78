"""Limit and cases in turn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from bench.case import Case
from bench.measure import Line, Sample, best, line
from bench.target import Target

Say = Callable[[str], None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Bench:
    """A subject: the limit's settings and the cases that are held against the best of them."""

    name: str
    limits: Sequence[Case]
    cases: Sequence[Case]
    finalists: int
    """How many settings of the limit go through all rounds, after one try of each"""


@dataclass(frozen=True, slots=True)
class Result:
    """What came out: the tries of all settings, the limit, and the cases."""

    name: str
    tasks: int
    rounds: int
    tries: dict[str, float]
    limit: Line
    cases: list[Line] = field(default_factory=list[Line])


def in_turn(cases: Sequence[T], number: int) -> list[T]:
    """Return the order of a round: there and back, so that no case always follows the same."""
    return list(cases) if number % 2 == 0 else list(reversed(cases))


async def run(bench: Bench, target: Target, *, tasks: int, rounds: int, say: Say) -> Result:
    """Try the limit's settings once, then run the best ones and all cases `rounds` times."""

    async def once(case: Case, label: str) -> Sample:
        sample = await case.run(target, int(tasks * case.share))
        rate = f"{sample.tasks_per_second:>9,.0f} tasks/s"
        say(f"{bench.name} {label:>5}  {case.name:<28} {rate}")
        return sample

    tries: dict[str, float] = {}
    for case in bench.limits:
        tries[case.name] = (await once(case, "try")).tasks_per_second
    ranked = sorted(bench.limits, key=lambda case: tries[case.name], reverse=True)
    finalists = ranked[: bench.finalists]
    samples: dict[Case, list[Sample]] = {case: [] for case in (*finalists, *bench.cases)}
    for number in range(rounds):
        for case in in_turn(list(samples), number):
            label = f"{number + 1}/{rounds}"
            samples[case].append(await once(case, label))
    limits = best([samples[case] for case in finalists])
    winner = next(case for case in finalists if samples[case] == limits)
    return Result(
        name=bench.name,
        tasks=tasks,
        rounds=rounds,
        tries=tries,
        limit=line(winner.name, winner.meaning, limits, None),
        cases=[line(case.name, case.meaning, samples[case], limits) for case in bench.cases],
    )
