"""Scaling down takes idle workers first, and no others while `protectBusy` holds."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill_operator.decision import Decision
from tidemill_operator.memory import Memory
from tidemill_operator.sparing import DELETION_COST, costs, spare_busy


def pod(uid: str, cost: str | None = None) -> dict[str, Any]:
    meta: dict[str, Any] = {"uid": uid, "name": uid, "namespace": "n"}
    if cost is not None:
        meta["annotations"] = {DELETION_COST: cost}
    return {"metadata": meta}


@pytest.mark.parametrize(
    ("wanted", "present", "busy", "held"),
    [(1, 4, 0, 1), (1, 4, 2, 2), (1, 4, 4, 4), (3, 4, 2, 3), (1, 4, 9, 4)],
)
def test_only_idle_replicas_are_taken_away(wanted: int, present: int, busy: int, held: int) -> None:
    decision = Decision(replicas=wanted, reason="less to do")
    spared = spare_busy(decision, present, busy, Memory())
    assert spared.replicas == held
    assert [each.name for each in spared.clamps] == (["protectBusy"] if held > wanted else [])
    assert ("tasks in hand" in spared.reason) == (held > wanted)


def test_a_decision_that_takes_nothing_away_is_no_step() -> None:
    decision = Decision(replicas=1, reason="", memory=Memory(lowered_at=9.0))
    assert spare_busy(decision, 2, 2, Memory(lowered_at=1.0)).memory.lowered_at == 1.0
    assert spare_busy(decision, 3, 2, Memory(lowered_at=1.0)).memory.lowered_at == 9.0


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 60))
def test_never_below_busy_and_never_more_than_there_are(
    wanted: int, present: int, busy: int
) -> None:
    below = min(wanted, present)
    spared = spare_busy(Decision(replicas=below, reason=""), present, busy, Memory())
    assert min(busy, present) <= spared.replicas <= present
    assert spared.replicas >= below


def test_only_changed_costs_are_written() -> None:
    pods = [pod("idle"), pod("was-busy", "3"), pod("busy"), pod("same", "2"), pod("other", "1")]
    assert costs(pods, {"busy": 4, "same": 2, "other": 5}) == {
        "was-busy": None,
        "busy": "4",
        "other": "5",
    }
