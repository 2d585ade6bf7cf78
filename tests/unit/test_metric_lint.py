"""The rules that /metrics is held to can say no."""

import pytest

from tests.support.metric_lint import faults

GOOD = """# HELP a_tasks_total Tasks
# TYPE a_tasks_total counter
a_tasks_total{queue="q"} 1
# HELP a_seconds Time
# TYPE a_seconds histogram
a_seconds_bucket{le="1"} 1
a_seconds_bucket{le="+Inf"} 2
a_seconds_count 2
a_seconds_sum 3
"""


def test_what_is_right_has_no_fault() -> None:
    assert faults(GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("a_tasks_total", "a_tasks", "ends in _total"),
        ("# HELP a_seconds Time\n", "", "no help"),
        ("a_seconds", "a_minutes", "base unit"),
        ("a_seconds", "aSeconds", "lower case"),
        ("a_seconds", "a_histogram_seconds", "names its type"),
        ('a_tasks_total{queue="q"} 1\n', 'a_tasks_total{queue="q"} 1\n' * 2, "twice"),
        ('{le="1"} 1', '{le="1"} 5', "add up"),
        ("# HELP a_seconds Time\n", "# HELP a_seconds Time\n" * 2, "2 times"),
    ],
)
def test_what_is_wrong_is_named(old: str, new: str, fault: str) -> None:
    assert any(fault in each for each in faults(GOOD.replace(old, new)))
