"""Scaling down takes idle workers first."""

from typing import Any

from tidemill_operator.sparing import DELETION_COST, costs


def pod(uid: str, cost: str | None = None) -> dict[str, Any]:
    meta: dict[str, Any] = {"uid": uid, "name": uid, "namespace": "n"}
    if cost is not None:
        meta["annotations"] = {DELETION_COST: cost}
    return {"metadata": meta}


def test_only_changed_costs_are_written() -> None:
    pods = [pod("idle"), pod("was-busy", "3"), pod("busy"), pod("same", "2"), pod("other", "1")]
    assert costs(pods, {"busy": 4, "same": 2, "other": 5}) == {
        "was-busy": None,
        "busy": "4",
        "other": "5",
    }
