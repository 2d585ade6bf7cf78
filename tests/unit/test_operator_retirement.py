"""Which workers go: idle ones first, none that Kubernetes might take instead, and back again."""

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.store.marks import PodWorker
from tidemill_operator.pods import DELETION_COST, Pod, first_to_go, pods_of
from tidemill_operator.retirement import Rules, retire
from tidemill_operator.retiring import GOING_COST

NOBODY = Rules()


def body(uid: str, *, phase: str = "Running", ready: bool = True, cost: str = "") -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    owner = {"uid": "rs", "controller": True}
    return {
        "metadata": {
            "uid": uid,
            "name": uid,
            "creationTimestamp": uid,
            "ownerReferences": [owner],
            "annotations": {DELETION_COST: cost} if cost else None,
        },
        "spec": {"nodeName": "n", "containers": [{"name": "worker"}]},
        "status": {"phase": phase, "conditions": conditions},
    }


def pod(
    uid: str, leases: int = 0, *, draining: bool = False, cordoned: bool = False, **more: Any
) -> Pod:
    worker = PodWorker(int(uid), uid, "worker", draining, cordoned, leases)
    return Pod(body(uid, **more), (worker,))


def uids(pods: Any) -> list[str]:
    return [each.uid for each in pods]


def test_idle_workers_drain_and_the_newest_of_them_go_first() -> None:
    plan = retire([pod("1"), pod("2", 1), pod("3"), pod("4", 2)], 1, NOBODY)
    assert uids(plan.chosen) == ["3"]
    assert list(plan.marks.drain) == [3]
    assert plan.marks.workers == [3]


def test_where_too_few_are_idle_the_least_busy_are_cordoned() -> None:
    plan = retire([pod("1", 5), pod("2", 1), pod("3", 3), pod("4")], 2, NOBODY)
    assert uids(plan.chosen) == ["4", "2"]
    assert (list(plan.marks.drain), list(plan.marks.cordon)) == ([4], [2])
    assert plan.busy == 1


def test_a_cordoned_worker_stays_chosen_and_drains_when_it_is_idle() -> None:
    busy = [pod("1", 1), pod("2", 4, cordoned=True)]
    plan = retire(busy, 1, NOBODY)
    assert uids(plan.chosen) == ["2"]
    assert plan.marks.workers == []
    idle = retire([pod("1"), pod("2", cordoned=True)], 1, NOBODY)
    assert list(idle.marks.drain) == [2]


def test_a_mark_is_undone_when_the_need_returns() -> None:
    marked = [pod("1", draining=True), pod("2", 1, cordoned=True), pod("3")]
    plan = retire(marked, 1, NOBODY)
    assert uids(plan.chosen) == ["1"]
    assert list(plan.marks.unmark) == [2]
    assert list(retire(marked, 0, NOBODY).marks.unmark) == [1, 2]


def test_pending_pods_without_a_worker_go_before_anybody() -> None:
    waiting = Pod(body("9", phase="Pending", ready=False))
    plan = retire([pod("1"), waiting], 1, NOBODY)
    assert uids(plan.chosen) == ["9"]
    assert plan.marks.workers == []


def test_a_running_pod_whose_worker_may_appear_is_waited_for() -> None:
    starting = Pod(body("9", ready=False))
    plan = retire([pod("1", draining=True), starting], 1, NOBODY)
    assert uids(plan.chosen) == ["1"]
    # Kubernetes would take the one that is not ready
    assert first_to_go([pod("1", draining=True), starting], plan.chosen) == 0
    empty = Rules(empty={"9"})
    assert uids(retire([pod("1"), starting], 1, empty).chosen) == ["9"]


def test_a_pod_that_would_not_show_itself_unready_is_left_alone() -> None:
    plan = retire([pod("1"), pod("2", draining=True)], 1, Rules(shy={"2"}))
    assert uids(plan.chosen) == ["1"]
    assert list(plan.marks.unmark) == [2]


def test_busy_ones_whose_time_is_over_are_drained_too() -> None:
    plan = retire([pod("1", 3), pod("2", 2, cordoned=True)], 1, Rules(overdue={"2"}))
    assert list(plan.marks.force) == [2]


def test_kubernetes_takes_those_that_are_not_ready_and_then_by_cost() -> None:
    idle = pod("1", draining=True, cost=str(GOING_COST))
    assert first_to_go([idle, pod("2", 1)], [idle]) == 1
    # a busy pod that is not ready would go instead
    assert first_to_go([idle, pod("2", 1, ready=False)], [idle]) == 0
    unready = pod("1", draining=True, ready=False, cost=str(GOING_COST))
    assert first_to_go([unready, pod("2", 1, ready=False), pod("3")], [unready]) == 1
    # without a cost, which of two that are alike is Kubernetes' choice
    assert first_to_go([pod("1", draining=True), pod("2", 1)], [pod("1", draining=True)]) == 0


def test_ended_and_deleted_pods_are_not_counted() -> None:
    gone = body("1")
    gone["metadata"]["deletionTimestamp"] = "now"
    found = pods_of(
        [gone, body("2", phase="Succeeded"), body("3")], [PodWorker(7, "3", None, False, False, 2)]
    )
    assert [(each.uid, each.leases) for each in found] == [("3", 2)]


pods = st.lists(
    st.builds(
        lambda leases, draining, cordoned, ready, phase, known: (
            leases if known else 0,
            draining and not leases,
            cordoned,
            ready and phase == "Running",
            phase,
            known,
        ),
        st.integers(0, 3),
        st.booleans(),
        st.booleans(),
        st.booleans(),
        st.sampled_from(["Running", "Pending"]),
        st.booleans(),
    ),
    max_size=12,
)


@settings(deadline=None, derandomize=True)
@given(pods, st.integers(0, 14))
def test_whatever_kubernetes_takes_nobody_has_tasks_in_hand(
    states: list[tuple[int, bool, bool, bool, str, bool]], surplus: int
) -> None:
    """All passes are made at once; then Kubernetes takes by its order, ties at its worst."""
    seen = list[Pod]()
    for number, (leases, draining, cordoned, ready, phase, known) in enumerate(states, start=10):
        found = pod(
            str(number), leases, draining=draining, cordoned=cordoned, ready=ready, phase=phase
        )
        seen.append(found if known else replace(found, workers=()))
    plan = retire(seen, surplus, NOBODY)
    assert len(plan.chosen) <= surplus
    drained = {*plan.marks.drain}
    after = [_marked(each, drained, {p.uid for p in plan.chosen}) for each in seen]
    may_go = [
        each for each in after if each.uid in {p.uid for p in plan.chosen} and NOBODY.may_go(each)
    ]
    count = first_to_go(after, may_go)
    taken = sorted(after, key=lambda each: (each.order, -each.leases))[:count]
    assert all(each.leases == 0 and not NOBODY.starting(each) for each in taken)
    assert set(uids(taken)) <= set(uids(plan.chosen))


def _marked(each: Pod, drained: set[int], chosen: set[str]) -> Pod:
    workers = tuple(
        replace(worker, draining=worker.draining or worker.id in drained) for worker in each.workers
    )
    found = replace(each, workers=workers)
    if each.uid in chosen and (found.draining or not workers):
        metadata = {**each.body["metadata"], "annotations": {DELETION_COST: str(GOING_COST)}}
        found = replace(found, body={**each.body, "metadata": metadata})
    return found
