import json
from typing import Any

import pytest

from bench import drain, report, rounds, shares
from bench.case import Case
from bench.measure import Sample


class Fake(Case):
    """Says when it was run."""

    def __init__(self, name: str, rate: float, log: list[str], share: float = 1.0) -> None:
        self.name, self.meaning, self.share = name, f"{name}'s meaning", share
        self._rate, self._log = rate, log

    async def run(self, target: Any, tasks: int) -> Sample:  # noqa: ARG002 - there is none
        self._log.append(f"{self.name}:{tasks}")
        return Sample(tasks, tasks / self._rate)


async def _result(log: list[str]) -> rounds.Result:
    limits = [Fake("slow", 100, log), Fake("fast", 400, log), Fake("middle", 300, log)]
    cases = [Fake("mine", 200, log), Fake("single", 20, log, share=0.1)]
    bench = rounds.Bench("drain", limits, cases, finalists=2)
    target: Any = None
    return await rounds.run(bench, target, tasks=1000, rounds=2, say=lambda _: None)


async def test_limit_and_cases_run_in_turn_there_and_back() -> None:
    log: list[str] = []
    await _result(log)
    assert log[:3] == ["slow:1000", "fast:1000", "middle:1000"]
    there = ["fast:1000", "middle:1000", "mine:1000", "single:100"]
    assert log[3:] == [*there, *reversed(there)]


async def test_the_limit_is_the_fastest_setting() -> None:
    result = await _result([])
    assert result.limit.name == "fast"
    assert [each.ratio and each.ratio.median for each in result.cases] == pytest.approx([0.5, 0.05])
    assert result.tries == pytest.approx({"slow": 100, "fast": 400, "middle": 300})


async def test_the_report_names_machine_cases_and_ratios() -> None:
    found = shares.finding(await _result([]))
    facts = {"cpus": "2", "server_version": "18.4", "fsync": "on"}
    text = report.text(facts, "counted so", [found])
    assert text.startswith("cpus 2, server_version 18.4, fsync on\n\nstatements: counted so\n")
    assert "the limit" in text
    assert "0.50 (0.50 - 0.50)" in text
    printed = json.loads(report.to_json(facts, "counted so", [found]))
    assert printed["machine"] == facts
    assert printed["results"][0]["limit"]["name"] == "fast"
    assert printed["results"][0]["cases"][0]["ratio_to_limit"]["median"] == pytest.approx(0.5)


@pytest.mark.parametrize(("tasks", "step", "whole"), [(1000, 300, 900), (1000, 4000, 4000)])
def test_a_run_does_whole_batches(tasks: int, step: int, whole: int) -> None:
    assert drain.whole(tasks, step) == whole
