"""The simulated queue waits as queueing theory says, and counts what is asked of it."""

import heapq
import math
from collections.abc import Sequence
from statistics import mean, stdev

import pytest

from tidemill_operator.policy import Policy
from tidemill_operator.simulation import loads
from tidemill_operator.simulation.loads import Arrival
from tidemill_operator.simulation.model import Model, Place
from tidemill_operator.simulation.play import play
from tidemill_operator.simulation.scalers import Tidemill


class Fixed:
    """A scaler that leaves everything as it is."""

    due = math.inf

    def wake(self, now: float) -> None:
        """Hear nothing."""

    def look(self, model: Model) -> str:
        raise AssertionError(model.now)


def erlang_c(workers: int, load: float) -> float:
    """Return the share of tasks that wait (Erlang C) for `load` = arrivals x run time."""
    terms = [load**n / math.factorial(n) for n in range(workers)]
    last = load**workers / math.factorial(workers) * workers / (workers - load)
    return last / (sum(terms) + last)


def one_after_the_other(arrivals: Sequence[Arrival], workers: int) -> list[float]:
    """Return the waits where each task in turn takes the worker that is free first."""
    free = [0.0] * workers
    waits = list[float]()
    for each in arrivals:
        starts = max(heapq.heappop(free), each.at)
        heapq.heappush(free, starts + each.run_seconds)
        waits.append(starts - each.at)
    return waits


QUEUES = pytest.mark.parametrize(("workers", "share"), [(1, 0.5), (4, 0.8), (10, 0.9)])


@QUEUES
def test_tasks_wait_as_in_one_queue_for_all_workers(workers: int, share: float) -> None:
    arrivals = loads.exponential(workers * share, 1.0, 5000 / (workers * share))
    place = Place(start_seconds=0.0, slots=1)
    found = play(arrivals, Fixed(), place=place, replicas=workers, after_seconds=0)
    assert found.waits == pytest.approx(sorted(one_after_the_other(arrivals, workers)))


@QUEUES
def test_the_mean_of_such_waits_is_that_of_erlang(workers: int, share: float) -> None:
    load = workers * share
    runs = [
        mean(one_after_the_other(loads.exponential(load, 1.0, 10_000 / load, seed=seed), workers))
        for seed in range(20)
    ]
    error = stdev(runs) / math.sqrt(len(runs))
    expected = erlang_c(workers, load) / (workers - load)
    assert mean(runs) == pytest.approx(expected, abs=3 * error)
    assert error < 0.1 * expected


def test_slots_are_spread_by_chance_not_filled_one_by_one() -> None:
    load = [Arrival(5.0, 60.0)] * 5
    model = Model(load, Place(start_seconds=1.0, slots=20))
    model.add(5)
    while model.now < 5:
        model.advance(model.next_at)
    assert sum(bool(each.runs) for each in model.workers) >= 3


def test_a_task_that_runs_again_waited_until_the_run_that_it_ended_in() -> None:
    model = Model([Arrival(0.0, 100.0)], Place(start_seconds=1.0, drain_seconds=30.0))
    model.add(1)
    while model.now < 1:
        model.advance(model.next_at)
    model.add(1)
    model.remove(model.workers[:1])
    while not model.over:
        model.advance(model.next_at)
    assert model.started == [31.0]
    assert (model.toll.rerun_tasks, model.toll.rerun_seconds) == (1, 30.0)
    assert model.replica_seconds == 31 + 130  # who leaves costs until it is gone


def test_kubernetes_takes_the_unready_then_the_newest_and_among_alike_ones_any() -> None:
    model = Model([Arrival(200.0, 1.0)], Place(start_seconds=1.0))
    for at, more in ((0.0, 3), (100.0, 2), (150.0, 1)):
        model.now = at
        model.add(more)
        while model.next_at <= at + 1:
            model.advance(model.next_at)
    model.add(1)
    model.now = 151.5
    first, *order = [each.number for each in model.chosen_by_kubernetes(7)]
    numbers = [each.number for each in model.workers]
    assert (first, order[0]) == (numbers[6], numbers[5])
    assert set(order[1:3]) == set(numbers[3:5])
    assert len({model.chosen_by_kubernetes(7)[6].number for _ in range(50)}) == 3


def test_the_same_seed_is_the_same_course() -> None:
    def course(seed: int) -> object:
        load = loads.noisy(2.0, 2.0, 300.0, seed=seed)
        return play(load, Tidemill(Policy(slots=2)), place=Place(slots=2), seed=seed).changes

    assert course(1) == course(1)
    assert course(1) != course(2)


def test_what_is_read_is_what_the_database_would_say() -> None:
    model = Model([Arrival(float(at), 2.0) for at in range(100)], Place(start_seconds=0.0))
    model.add(1)
    while model.now < 99:
        model.advance(model.next_at)
    reading = model.reading()
    assert reading.arrival_per_second == pytest.approx(1, rel=0.03)
    assert reading.mean_run_seconds == pytest.approx(2)
    assert (reading.running, reading.queued + 1 + 49) == (1, 100)
    assert reading.oldest_seconds == pytest.approx(99 - 50)


def test_workers_that_idle_for_idle_seconds_go_and_cost_no_more() -> None:
    policy = Policy(slots=1, idle_seconds=10)
    found = play(loads.burst(1, 2.0), Tidemill(policy), place=Place(start_seconds=4.0))
    assert [each.replicas for each in found.changes] == [0, 1, 0]
    assert found.replica_seconds == pytest.approx(4 + 2 + 10, abs=4)
    assert found.changes[-1].reason.startswith("nothing to do for 10 s")


def test_without_protection_a_busy_worker_has_its_drain_time_and_then_gives_back() -> None:
    load = [*loads.burst(50, 1.0), *loads.burst(10, 300.0, at=1.0)]
    place = Place(start_seconds=1.0, drain_seconds=20.0)
    policy = Policy(slots=1, protect_busy=False)
    found = play(load, Tidemill(policy), place=place)
    assert found.toll.rerun_tasks > 0
    kept = play(load, Tidemill(Policy(slots=1)), place=place)
    assert kept.toll.rerun_tasks == 0
