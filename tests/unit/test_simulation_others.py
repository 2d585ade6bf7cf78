"""The models of an HPA and of KEDA do what was measured (KEDA 2.20.2, Kubernetes 1.34).

There it was one run each. A poll and a sync begin at some moment of their period, so the model
makes a range: what was measured has to lie in it, and the steps have to be the same.
"""

import functools
import math
from collections.abc import Sequence
from statistics import median

import pytest

from tidemill_operator.simulation import loads
from tidemill_operator.simulation.loads import Arrival
from tidemill_operator.simulation.model import Model, Place
from tidemill_operator.simulation.others import Hpa, HpaRules, Keda, KedaRules
from tidemill_operator.simulation.play import Played, play

PLACE = Place(start_seconds=2.0)
"""As long as pods took to start where it was measured."""

AT = 100.0
SEEDS = range(60)
TUNED = (
    KedaRules(poll_seconds=1.0, cooldown_seconds=30.0),
    HpaRules(behavior=True, down_window_seconds=0.0),
)


@functools.cache
def runs(tasks: int, *, tuned: bool = False) -> Sequence[Played]:
    rules = TUNED if tuned else (KedaRules(), HpaRules())
    return [
        play(loads.burst(tasks, 2.0, at=AT), Keda(*rules, seed=seed), place=PLACE, seed=seed)
        for seed in SEEDS
    ]


def replicas(found: Played, first: int) -> list[int]:
    return [each for _, each in found.history][:first]


def test_keda_decides_when_it_polls() -> None:
    delays = [found.reached(1) - AT for found in runs(1)]
    assert 0 <= min(delays) <= 5
    assert 25 <= max(delays) <= 30
    assert median(delays) == pytest.approx(18.5, abs=4)  # measured


def test_keda_is_back_at_zero_a_cooldown_after_the_last_poll_that_found_a_task() -> None:
    took = [found.changes[-1].at - found.emptied_at for found in runs(1)]
    assert max(took) <= 300
    assert min(took) == pytest.approx(299, abs=5)  # measured, with a shorter task


def test_with_defaults_a_burst_gets_one_four_eight_ten() -> None:
    for found in runs(100):
        assert replicas(found, 5) == [0, 1, 4, 8, 10]
        _, one, four, eight, ten = (each.at for each in found.changes[:5])
        assert four - one <= 15
        assert (eight - four, ten - eight) == pytest.approx((15, 15))


def test_with_defaults_a_burst_is_through_when_it_was_measured_to_be() -> None:
    ten = [found.reached(10) - AT for found in runs(100)]
    empty = [found.emptied_at - AT for found in runs(100)]
    assert min(ten) < 54 < max(ten)
    assert median(ten) == pytest.approx(54, abs=4)
    assert median(empty) == pytest.approx(56, abs=4)
    alike = [e for t, e in zip(ten, empty, strict=True) if abs(t - 54) <= 3]
    assert median(alike) == pytest.approx(56, abs=4)


def test_tuned_a_burst_gets_one_five_ten() -> None:
    in_time = [found for found in runs(100, tuned=True) if math.isfinite(found.reached(10))]
    assert len(in_time) >= 0.9 * len(SEEDS)  # the others' sync came when next to nothing was left
    for found in in_time:
        assert replicas(found, 4) == [0, 1, 5, 10]
        _, one, five, ten = (each.at for each in found.changes[:4])
        assert one - AT <= 1
        assert five - one <= 15
        assert ten - five == pytest.approx(15)


def test_tuned_a_burst_is_through_when_it_was_measured_to_be() -> None:
    found = runs(100, tuned=True)
    ten = [each.reached(10) - AT for each in found]
    assert min(ten) < 18.5 < max(ten)
    alike = [
        each.emptied_at - AT for each, at in zip(found, ten, strict=True) if abs(at - 18.5) <= 2
    ]
    assert median(alike) == pytest.approx(33, abs=2)  # measured


def test_tuned_most_of_the_stopped_pods_are_busy() -> None:
    """Measured so under tasks that do not all end at once."""
    rules = TUNED
    toll = play(loads.noisy(2.0, 2.0, 1800.0), Keda(*rules), place=PLACE).toll
    assert toll.stopped_busy > toll.stopped / 2


def test_keda_with_a_minimum_leaves_it_to_the_hpa_and_never_goes_below() -> None:
    keda = Keda(KedaRules(least=2, poll_seconds=1.0, cooldown_seconds=30.0), HpaRules(least=2))
    found = play(loads.burst(30, 2.0, at=AT), keda, place=PLACE, replicas=2)
    assert min(each for _, each in found.history) == 2
    assert found.peak > 2


@pytest.mark.parametrize(("later", "replicas"), [(5.0, 12), (20.0, 5)])
def test_an_hpa_with_behavior_may_take_back_what_it_gave_up_within_15_s(
    later: float, replicas: int
) -> None:
    hpa = Hpa(HpaRules(behavior=True, down_window_seconds=0.0, most=50))
    model = Model([Arrival(later, 1.0)] * 60, PLACE)
    model.add(12)
    hpa.look(model)
    assert model.replicas == 1
    model.advance(later)
    hpa.look(model)
    assert model.replicas == replicas


def test_an_hpa_is_off_at_zero() -> None:
    found = play(loads.burst(100, 2.0), Hpa(HpaRules()), place=PLACE, most_seconds=3600)
    assert (found.unfinished, found.peak) == (100, 0)
    assert found.wait(0.5) >= 3590


def test_an_hpa_keeps_its_replicas_within_its_tolerance() -> None:
    steady = [*loads.burst(21, 3000.0)]  # 5.25 a replica
    found = play(steady, Hpa(HpaRules()), place=Place(slots=20), replicas=4, after_seconds=0)
    assert found.history == [(0.0, 4)]


def test_who_must_go_early_has_its_long_task_run_again() -> None:
    load = [*loads.burst(20, 100.0), *loads.burst(5, 100.0, at=90.0)]
    quick = HpaRules(behavior=True, down_window_seconds=0.0)
    place = Place(start_seconds=2.0, drain_seconds=30.0)
    found = play(load, Hpa(quick), place=place, replicas=4, after_seconds=60)
    assert found.toll.rerun_tasks > 0
    assert found.toll.rerun_seconds >= 30 * found.toll.rerun_tasks
    assert len(found.tasks) == 25
