"""The decision played over loads: it follows them, does not swing, and stops nobody who works."""

import functools
import re
from pathlib import Path

import pytest

from tidemill_operator.policy import Policy, StepLimits
from tidemill_operator.simulation import loads
from tidemill_operator.simulation.play import Played, play
from tidemill_operator.simulation.report import Figures, markdown
from tidemill_operator.simulation.scalers import WAKE_SECONDS, Tidemill
from tidemill_operator.simulation.standard import (
    CONTENDERS,
    LOADS,
    PLACE,
    RUNS,
    SLO_SECONDS,
    contenders,
    figures,
    played,
)

DOCS = Path(__file__).parents[2] / "docs" / "simulation.md"
BY_NAME = {each.name: each for each in CONTENDERS}


run = functools.cache(played)


def named(load: str) -> str:
    (name,) = (each for each in LOADS if each.startswith(load))
    return name


def through(scaler: str, load: str) -> Played:
    return run(named(load), BY_NAME[scaler], 1)


def tidemill(load: str) -> Played:
    return through("Tidemill", load)


class TestTidemill:
    @pytest.mark.parametrize("load", LOADS)
    def test_no_busy_worker_is_stopped(self, load: str) -> None:
        toll = tidemill(load).toll
        assert (toll.stopped_busy, toll.rerun_tasks) == (0, 0)
        assert toll.stopped > 0

    def test_a_burst_gets_all_it_needs_in_one_step(self) -> None:
        found = tidemill("burst")
        assert found.reached(10) <= 40 + WAKE_SECONDS
        assert found.emptied_at <= 40 + 20 + PLACE.start_seconds + 2
        settled = [replicas for at, replicas in found.history if at <= found.emptied_at]
        assert settled == [0, 10]

    @pytest.mark.parametrize("load", ["steady", "noise"])
    def test_a_load_that_needs_five_workers_holds_five_give_or_take_one(self, load: str) -> None:
        found = tidemill(load)
        settled = [n for at, n in found.history if 120 <= at <= found.emptied_at]
        settled.append([n for at, n in found.history if at < 120][-1])  # where it stood by then
        assert set(settled) <= {4, 5, 6}
        assert found.direction_changes == 1

    def test_a_slow_drain_is_one_rise_and_one_fall(self) -> None:
        found = tidemill("slow drain")
        assert found.direction_changes == 1
        assert found.peak == 10

    @pytest.mark.parametrize(("load", "periods"), [("sawtooth", 6), ("cron", 12), ("flapping", 30)])
    def test_it_turns_as_often_as_the_load_does(self, load: str, periods: int) -> None:
        assert tidemill(load).direction_changes <= 2 * periods

    def test_it_is_back_at_zero_when_nothing_came_for_idle_seconds(self) -> None:
        for load in LOADS:
            found = tidemill(load)
            at, replicas = found.history[-1]
            assert replicas == 0
            assert at - found.emptied_at <= Policy().idle_seconds + 5

    def test_a_wait_target_buys_shorter_waits(self) -> None:
        quick = Policy(slots=1, target_wait_seconds=5, max_replicas=30)
        load = loads.flapping(3.0, 2.0, 1200.0, period=240.0)
        with_target = play(load, Tidemill(quick), place=PLACE)
        without = play(load, Tidemill(Policy(slots=1, max_replicas=30)), place=PLACE)
        assert with_target.wait(0.95) <= without.wait(0.95)
        assert with_target.started_within(5 + PLACE.start_seconds) >= 0.95


class TestBesideOthers:
    @pytest.mark.parametrize("load", [each for each in LOADS if not each.startswith("worst")])
    def test_the_longest_waits_are_shorter_than_with_keda(self, load: str) -> None:
        for other in ("KEDA + HPA", "KEDA + HPA, tuned"):
            assert tidemill(load).wait(0.99) <= through(other, load).wait(0.99)

    # By depth alone too few are kept for long tasks: theirs wait minutes longer.
    @pytest.mark.parametrize("load", [each for each in LOADS if not each.startswith("long")])
    def test_it_takes_no_more_replica_seconds_than_their_defaults(self, load: str) -> None:
        for other in ("HPA", "KEDA + HPA"):
            assert tidemill(load).replica_seconds <= 1.02 * through(other, load).replica_seconds

    def test_the_worst_case_for_us_starts_a_worker_for_each_task(self) -> None:
        assert tidemill("worst").wait(0.5) == pytest.approx(PLACE.start_seconds, abs=0.5)
        assert through("HPA", "worst").wait(0.5) == 0


def tuned(load: str, policy: Policy) -> Figures:
    ours, *_ = contenders(policy)
    runs = [played(named(load), ours, seed) for seed in range(1, RUNS + 1)]
    return Figures.of(ours.name, runs, slo_seconds=SLO_SECONDS)


class TestWhatTheDocsAdvise:
    def test_on_and_off_a_longer_patience_keeps_the_workers_for_less_than_an_hpa(self) -> None:
        found = tuned(
            "flapping", Policy(slots=1, idle_seconds=90, down=StepLimits(window_seconds=120))
        )
        assert found.wait_p50_seconds == 0
        assert found.direction_changes <= 10
        assert found.replica_seconds < through("HPA", "flapping").replica_seconds

    def test_one_replica_at_least_waits_for_nothing_in_the_worst_case(self) -> None:
        assert tuned("worst", Policy(slots=1, min_replicas=1)).wait_p99_seconds == 0

    def test_long_tasks_waver_once_with_a_longer_window(self) -> None:
        found = tuned("long", Policy(slots=1, down=StepLimits(window_seconds=300)))
        assert found.direction_changes == 1
        assert found.replica_seconds < 1.15 * tidemill("long").replica_seconds


def test_the_table_in_the_docs_is_what_is_played() -> None:
    found = re.findall(r"^\|.*\|$", DOCS.read_text(), flags=re.MULTILINE)
    expected = list(markdown([(load, figures(load, run)) for load in LOADS]))
    first = found.index(expected[0])
    assert found[first : first + len(expected)] == expected
