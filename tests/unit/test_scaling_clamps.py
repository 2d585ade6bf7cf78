"""Each clamp of the scaling decision names itself and says in a sentence what it did."""

from dataclasses import replace

import pytest

from tests.support.decisions import FRESH, NOW
from tidemill_operator.decision import Decision, Observation, decide
from tidemill_operator.memory import Memory
from tidemill_operator.need import Reading
from tidemill_operator.policy import Policy, StepLimits

PLAIN = Policy(idle_seconds=0.0, down=StepLimits())
PEAK = FRESH.noting(NOW - 20, 9, keep_seconds=60)
LOW = FRESH.noting(NOW - 20, 3, keep_seconds=30)


def look(replicas: int, reading: Reading, **more: int) -> Observation:
    return Observation(now=NOW, replicas=replicas, reading=reading, **more)


def tasks(queued: int, running: int = 0, mean_run_seconds: float | None = None) -> Reading:
    return Reading(queued=queued, running=running, mean_run_seconds=mean_run_seconds)


CASES = {
    "paused": (
        look(0, tasks(12)),
        replace(PLAIN, paused=True),
        FRESH,
        (0, "the queue is paused, so its 12 waiting tasks do not count"),
    ),
    "maxRunning": (
        look(0, tasks(100, running=2)),
        replace(PLAIN, max_running=7),
        FRESH,
        (2, "only 5 of 100 waiting tasks may start (7 run at once)"),
    ),
    "rateLimit": (
        look(0, tasks(100, mean_run_seconds=3.0)),
        replace(PLAIN, tasks_per_second=2.0),
        FRESH,
        (2, "only 6 of 100 waiting tasks may start (6 run at once)"),
    ),
    "minReplicas": (
        look(5, tasks(1)),
        replace(PLAIN, min_replicas=2),
        FRESH,
        (2, "at least 2 are kept, not 1"),
    ),
    "maxReplicas": (
        look(0, tasks(100)),
        replace(PLAIN, max_replicas=4),
        FRESH,
        (4, "at most 4 are allowed, not 20"),
    ),
    "scaleDown.stabilizationWindowSeconds": (
        look(9, tasks(5)),
        replace(PLAIN, down=StepLimits(window_seconds=60)),
        PEAK,
        (9, "9 were called for in the last 60 s, 1 are now"),
    ),
    "scaleUp.stabilizationWindowSeconds": (
        look(3, tasks(25)),
        replace(PLAIN, up=StepLimits(window_seconds=30)),
        LOW,
        (3, "no more than 3 were called for throughout the last 30 s, 5 are now"),
    ),
    "idleSeconds": (
        look(3, tasks(0)),
        replace(PLAIN, idle_seconds=30.0),
        Memory(idle_since=NOW - 12),
        (1, "one worker stays until 30 s passed without work"),
    ),
    "freeConnections": (
        look(2, tasks(40), free_connections=35),
        replace(PLAIN, connections_per_replica=10),
        FRESH,
        (
            5,
            "35 database connections are free, a worker takes up to 10: room for 3 more",
        ),
    ),
    "scaleUp.maxStep": (
        look(2, tasks(40)),
        replace(PLAIN, up=StepLimits(max_step=3)),
        FRESH,
        (5, "at most 3 at once"),
    ),
    "scaleDown.maxStep": (
        look(8, tasks(5)),
        replace(PLAIN, down=StepLimits(max_step=2)),
        Memory(lowered_at=NOW - 4),
        (8, "the last step was less than 15 s ago"),
    ),
    "protectBusy": (
        look(6, tasks(0, running=3), busy=3),
        PLAIN,
        FRESH,
        (3, "3 of 6 workers have tasks in hand and are kept"),
    ),
    "unknown": (
        Observation(now=NOW, replicas=6, reading=None),
        PLAIN,
        FRESH,
        (6, "replicas are held until the queue can be read"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_clamp_names_itself_and_says_what_it_did(name: str) -> None:
    seen, policy, memory, (replicas, sentence) = CASES[name]
    decision = decide(seen, policy, memory)
    assert decision.replicas == replicas
    (clamp,) = decision.clamps
    assert (clamp.name, clamp.sentence) == (name, sentence)
    assert name == "unknown" or sentence in decision.reason


def test_protect_busy_off_lets_busy_ones_go() -> None:
    seen = CASES["protectBusy"][0]
    assert decide(seen, replace(PLAIN, protect_busy=False), FRESH).replicas == 1


def test_scarce_connections_take_no_worker_away() -> None:
    policy = replace(PLAIN, connections_per_replica=10)
    held = decide(look(4, tasks(100), free_connections=-5), policy, FRESH)
    assert held.replicas == 4
    assert decide(look(4, tasks(5), free_connections=-5), policy, FRESH).replicas == 1


def test_behind_a_pooler_connections_do_not_count() -> None:
    assert decide(look(0, tasks(40), free_connections=0), PLAIN, FRESH).replicas == 8


def test_another_decision_is_told_by_result_rule_and_clamps_not_by_figures() -> None:
    def made(queued: int, **policy: int) -> Decision:
        return decide(look(0, tasks(queued)), replace(PLAIN, **policy), FRESH)  # type: ignore[arg-type]  # fields by name

    assert made(11).fingerprint == made(12).fingerprint
    assert made(11).fingerprint != made(16).fingerprint
    assert made(11).fingerprint != made(99, max_replicas=3).fingerprint
