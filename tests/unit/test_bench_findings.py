import json

import pytest

from bench import report
from bench.explaining import cost_of
from bench.findings import Bar, Finding, number, quantile


@pytest.mark.parametrize(
    ("value", "at_most", "holds"),
    [(0.70, False, True), (0.69, False, False), (0.70, True, True), (0.71, True, False)],
)
def test_a_bar_holds_at_its_bound(value: float, at_most: bool, holds: bool) -> None:
    assert Bar("a share", value, 0.70, at_most=at_most).holds is holds


def test_a_bar_says_what_is_asked_and_whether_it_holds() -> None:
    assert str(Bar("a share", 0.5, 0.7)) == "FAILS: a share is 0.50 (must be at least 0.7)"
    assert str(Bar("a time", 1.1, 1.2, at_most=True)) == (
        "holds: a time is 1.10 (must be at most 1.2)"
    )
    assert Bar("a share", 0.5, 0.7).to_json() == {
        "what": "a share",
        "value": 0.5,
        "at_least": 0.7,
        "holds": False,
    }


@pytest.mark.parametrize(
    ("share", "value"), [(0.0, 1), (0.5, 50), (0.99, 99), (0.991, 100), (1.0, 100)]
)
def test_a_quantile_is_a_value_that_was_seen(share: float, value: float) -> None:
    assert quantile(list(range(100, 0, -1)), share) == value


def test_what_is_not_known_is_a_dash() -> None:
    assert number(None) == "-"
    assert number(1234.56) == "1,234.6"


def test_a_table_has_aligned_columns_then_bars_and_notes() -> None:
    finding = Finding(
        name="claim",
        title="how dear",
        columns=("ms", "buffers"),
        rows=[["few", "1.0", "28"], ["many more", "10.0", "29"]],
        figures={"few": 1.0},
        bars=[Bar("many", 1.0, 1.2, at_most=True)],
        notes=["a note"],
    )
    assert report.table(finding).splitlines() == [
        "claim: how dear",
        "             ms  buffers",
        "few         1.0       28",
        "many more  10.0       29",
        "  holds: many is 1.00 (must be at most 1.2)",
        "  a note",
    ]
    assert json.loads(report.to_json({}, "so", [finding]))["results"][0]["few"] == 1.0


def test_a_cost_is_read_off_the_whole_statement() -> None:
    plan = {"Shared Hit Blocks": 20, "Shared Read Blocks": 8, "WAL Bytes": 300}
    cost = cost_of(json.dumps([{"Plan": plan, "Execution Time": 0.5}]))
    assert (cost.milliseconds, cost.buffers, cost.wal_bytes) == (0.5, 28, 300)
