import pytest

from bench.measure import Sample, Spread, best, line, ratios


def _samples(*rates: float, tasks: int = 1000) -> list[Sample]:
    return [Sample(tasks, seconds=tasks / rate) for rate in rates]


def test_a_ratio_is_taken_within_its_round() -> None:
    """A machine that halves its speed in the second round changes no ratio."""
    mine, limit = _samples(500, 250), _samples(1000, 500)
    assert ratios(mine, limit) == pytest.approx([0.5, 0.5])
    found = line("mine", "", mine, limit)
    assert found.ratio is not None
    assert found.ratio.median == pytest.approx(0.5)
    assert found.tasks_per_second == Spread(375, 250, 500)


def test_rounds_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratios(_samples(1, 2), _samples(1))


def test_what_was_used_is_given_a_task() -> None:
    used = Sample(200, 1.0, wal_bytes=100_000, statements=4, client_seconds=0.001)
    found = line("mine", "", [used], None)
    assert found.wal_bytes_per_task == 500
    assert found.statements_per_task == pytest.approx(0.02)
    assert found.client_microseconds == pytest.approx(5.0)
    assert found.server_microseconds is None
    assert found.to_json()["ratio_to_limit"] is None


def test_the_limit_is_the_setting_with_the_best_median() -> None:
    steady, lucky_once = _samples(900, 900, 900), _samples(2000, 100, 100)
    assert best([lucky_once, steady]) == steady
