"""The scaling decision: examples that read like its rules, and properties for all inputs."""

from dataclasses import replace
from itertools import pairwise

import pytest

from tests.support.decisions import FRESH, NOW, TICK, play
from tidemill_operator.decision import STEP_SECONDS, Decision, Observation, decide
from tidemill_operator.memory import SLICES, Memory, Slice
from tidemill_operator.need import Reading
from tidemill_operator.policy import Policy, StepLimits


def seen(replicas: int, now: float = NOW, **reading: object) -> Observation:
    figures: dict[str, object] = {"queued": 0, "running": 0, **reading}
    return Observation(now=now, replicas=replicas, reading=Reading(**figures))  # type: ignore[arg-type]  # figures by name


def clamps(decision: Decision) -> list[str]:
    return [each.name for each in decision.clamps]


class TestNeed:
    def test_depth_counts_waiting_and_running_tasks(self) -> None:
        assert decide(seen(0, queued=12, running=4), Policy(), FRESH).replicas == 4

    def test_tasks_due_soon_count_as_waiting(self) -> None:
        assert decide(seen(0, due_soon=11), Policy(), FRESH).replicas == 3

    def test_the_wait_rule_counts_once_run_times_are_measured(self) -> None:
        policy = Policy(target_wait_seconds=10, slots=1, tasks_per_replica=1000)
        # 2 a second of 3 s at 80 %: 7.5 replicas; 20 waiting of 3 s within 10 s: 6 more
        reading = {"queued": 20, "arrival_per_second": 2.0}
        assert decide(seen(0, **reading), policy, FRESH).replicas == 1
        measured = decide(
            seen(0, **reading, mean_run_seconds=3.0), replace(policy, max_replicas=50), FRESH
        )
        assert measured.replicas == 14
        assert "to start within 10 s" in measured.reason

    def test_of_both_rules_the_larger_counts(self) -> None:
        policy = Policy(target_wait_seconds=1000)
        decision = decide(seen(0, queued=20, mean_run_seconds=0.1), policy, FRESH)
        assert decision.replicas == 4

    def test_the_measured_load_counts_while_there_is_work(self) -> None:
        # 2 a second of 2 s need 5 workers at 80 %, however short they keep the queue
        policy = Policy(slots=1)
        load = {"arrival_per_second": 2.0, "mean_run_seconds": 2.0}
        decision = decide(seen(5, running=4, **load), policy, FRESH)
        assert (decision.replicas, decision.rule) == (5, "load")
        assert decision.reason.startswith("2 tasks/s of 2 s each at 1 at once a replica call for 5")
        assert decide(seen(0, **load), policy, FRESH).replicas == 0

    def test_no_more_load_counts_than_limits_let_run(self) -> None:
        load = {"arrival_per_second": 9.0, "mean_run_seconds": 2.0, "running": 1}
        for policy in (Policy(slots=1, max_running=3), Policy(slots=1, tasks_per_second=1.2)):
            assert decide(seen(3, **load), policy, FRESH).replicas == 3

    def test_workers_on_their_way_are_not_asked_for_again(self) -> None:
        decision = decide(seen(4, queued=20), Policy(), FRESH)
        assert decision.replicas == 4
        assert decision.inputs["startingReplicas"] == 4

    def test_a_paused_queue_waits_for_nothing(self) -> None:
        for policy, paused in ((Policy(paused=True), False), (Policy(), True)):
            decision = decide(seen(0, queued=100, paused=paused), policy, FRESH)
            assert decision.replicas == 0
            assert clamps(decision) == ["paused"]

    def test_running_tasks_of_a_paused_queue_keep_their_workers(self) -> None:
        decision = decide(seen(3, queued=100, running=12), Policy(paused=True), FRESH)
        assert decision.replicas == 3

    def test_no_more_waiting_tasks_count_than_max_running_lets_start(self) -> None:
        for policy, given_to_row in ((Policy(max_running=7), None), (Policy(), 7)):
            look = seen(0, queued=100, running=2, max_running=given_to_row)
            decision = decide(look, policy, FRESH)
            assert decision.replicas == 2
            assert clamps(decision) == ["maxRunning"]

    def test_no_more_waiting_tasks_count_than_the_rate_lets_run(self) -> None:
        policy = Policy(tasks_per_second=2.0)
        look = seen(0, queued=100, mean_run_seconds=3.0)
        decision = decide(look, policy, FRESH)
        assert decision.replicas == 2  # 2 a second of 3 s: 6 at once
        assert clamps(decision) == ["rateLimit"]


class TestZero:
    def test_from_zero_straight_to_the_computed_size(self) -> None:
        assert decide(seen(0, queued=50), Policy(), FRESH).replicas == 10

    def test_to_zero_after_idle_seconds_and_not_before(self) -> None:
        policy = Policy(idle_seconds=30)
        history = play([Reading(queued=0, running=0)] * 20, policy, replicas=4)
        assert history.index(0) == 15  # 30 s at 2 s a look
        assert history[14] >= 1

    def test_a_task_starts_the_idle_time_anew(self) -> None:
        idle, busy = Reading(queued=0, running=0), Reading(queued=1, running=0)
        history = play([idle] * 10 + [busy] + [idle] * 15, Policy(idle_seconds=30), replicas=1)
        assert 0 not in history

    def test_never_while_a_task_runs(self) -> None:
        policy = Policy(idle_seconds=0, down=StepLimits())
        assert decide(seen(2, running=1), policy, FRESH).replicas == 1

    def test_min_replicas_stay(self) -> None:
        history = play([Reading(queued=0, running=0)] * 60, Policy(min_replicas=2), replicas=5)
        assert history[-1] == 2

    def test_an_idle_queue_at_zero_is_left_there(self) -> None:
        assert play([Reading(queued=0, running=0)] * 3, Policy()) == [0, 0, 0]


class TestWindows:
    def test_a_lower_need_must_last(self) -> None:
        policy = Policy(down=StepLimits(window_seconds=60))
        history = play([Reading(queued=25, running=0)] * 60, policy, replicas=8)
        assert history[28] == 8
        assert history[-1] == 5
        fell = history.index(5) * TICK
        assert 60 <= fell <= 60 + 60 / SLICES + TICK

    def test_a_peak_in_the_window_holds_the_replicas(self) -> None:
        low, high = Reading(queued=5, running=0), Reading(queued=40, running=0)
        history = play([high] * 2 + [low] * 20, Policy(down=StepLimits(window_seconds=60)))
        assert set(history) == {8}

    def test_a_small_rise_waits_for_its_window_and_a_sharp_one_does_not(self) -> None:
        policy = Policy(up=StepLimits(window_seconds=30))
        steady = play([Reading(queued=20, running=0)] * 5, policy, replicas=4)
        assert steady == [4] * 5
        memory = decide(seen(4, queued=20), policy, FRESH).memory
        small = decide(seen(4, NOW + TICK, queued=25), policy, memory)
        assert small.replicas == 4
        assert clamps(small) == ["scaleUp.stabilizationWindowSeconds"]
        assert decide(seen(4, NOW + TICK, queued=40), policy, memory).replicas == 8

    def test_a_step_is_limited_and_the_next_one_waits(self) -> None:
        policy = Policy(up=StepLimits(max_step=2))
        history = play([Reading(queued=50, running=0)] * 20, policy)
        assert history[0] == 2
        rises = [place for place, (a, b) in enumerate(pairwise(history)) if a != b]
        assert all(later - earlier >= STEP_SECONDS / TICK for earlier, later in pairwise(rises))
        assert {b - a for a, b in pairwise(history)} <= {0, 2}

    def test_lowered_bounds_act_at_once(self) -> None:
        decision = decide(seen(10, queued=100), Policy(max_replicas=3), FRESH)
        assert decision.replicas == 3


class TestMemory:
    def test_it_survives_the_status(self) -> None:
        memory = FRESH
        for second in range(300):
            memory = decide(seen(3, NOW + second, queued=second % 40), Policy(), memory).memory
        assert Memory.from_status(memory.to_status()) == memory

    @pytest.mark.parametrize("odd", ["1", [], {}, True, None])
    def test_what_another_version_wrote_otherwise_is_forgotten_and_the_rest_kept(
        self, odd: object
    ) -> None:
        early, late = {"at": NOW - 9, "low": 1, "high": 2}, {"at": NOW, "low": 3, "high": 4}
        broken = [odd, {"at": NOW}, {**late, "low": odd}, {**late, "at": odd}]
        times = {"idleSince": odd, "raisedAt": NOW, "later": odd}
        found = Memory.from_status({**times, "asked": [late, *broken, early]})
        assert found == Memory(raised_at=NOW, asked=(Slice(NOW - 9, 1, 2), Slice(NOW, 3, 4)))
        assert Memory.from_status({"startSeconds": odd, "asked": odd}) == Memory()
        assert decide(seen(1, queued=10), Policy(), found).replicas == 2

    def test_it_stays_small(self) -> None:
        memory = FRESH
        for second in range(0, 10_000, 7):
            memory = memory.noting(NOW + second, second, keep_seconds=3600)
        assert len(memory.asked) <= SLICES + 2

    def test_a_clock_set_back_is_survived(self) -> None:
        memory = decide(seen(3, NOW, queued=15), Policy(), FRESH).memory
        earlier = decide(seen(3, NOW - 3600), Policy(), memory)
        assert earlier.replicas == 3
        assert earlier.memory.idle_since == NOW - 3600


def test_a_start_that_was_slow_counts_at_once_and_a_quick_one_by_and_by() -> None:
    slow = FRESH.started(4.0).started(12.0)
    assert slow.start_seconds == 12.0
    assert slow.started(4.0).start_seconds == 10.0


def test_an_unknown_reading_holds_and_says_so() -> None:
    observation = Observation(now=NOW, replicas=7, reading=None)
    decision = decide(observation, Policy(max_replicas=5), Memory(idle_since=1.0))
    assert decision.replicas == 7
    assert clamps(decision) == ["unknown"]
    assert decision.memory == Memory(idle_since=1.0)


def test_the_reason_is_a_sentence_with_its_figures() -> None:
    decision = decide(seen(0, queued=112), Policy(max_replicas=4), FRESH)
    assert decision.reason == (
        "112 waiting and 0 running tasks at 5 a replica call for 23; "
        "at most 4 are allowed, not 23: 4 replicas"
    )
    assert decision.inputs["needed"] == 23
