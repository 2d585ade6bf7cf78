"""What is costly is done for a share of the time; a first, slow time is not held against it."""

from tidemill.store.budget import Budget


def test_one_slow_round_does_not_count_two_do() -> None:
    budget = Budget(0.05)
    budget.decide(0.0)
    budget.spend(0.0, 1.0)
    budget.decide(1.0)
    assert budget.due
    budget.spend(1.0, 2.0)
    budget.decide(2.5)
    assert not budget.due
    assert budget.wait(2.5) == 18.5
    budget.decide(21.0)
    assert budget.due


def test_all_that_a_round_spends_counts() -> None:
    budget = Budget(0.5)
    for now in (0.0, 10.0):
        budget.decide(now)
        budget.spend(now, now + 1)
        budget.spend(now + 1, now + 2)
    assert budget.wait(12.0) == 2.0


def test_rounds_are_apart_by_its_seconds_at_least() -> None:
    budget = Budget(0.5, 3.0)
    budget.decide(0.0)
    budget.spend(0.0, 0.0)
    budget.decide(2.9)
    assert not budget.due
    budget.decide(3.0)
    assert budget.due
