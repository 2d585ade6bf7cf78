"""A dead pod or container is told once, and one that is only being started again is not."""

from typing import Any

from tidemill_operator.deaths import Death, Deaths


def pod(phase: str = "Running", *, restarts: int = 0, waiting: str = "") -> dict[str, Any]:
    state: dict[str, Any] = {"waiting": {"reason": waiting}} if waiting else {"running": {}}
    container = {"name": "worker", "restartCount": restarts, "state": state}
    return {
        "metadata": {"uid": "u"},
        "status": {"phase": phase, "containerStatuses": [container]},
    }


def crashed(restarts: int) -> dict[str, Any]:
    return pod(restarts=restarts, waiting="CrashLoopBackOff")


def test_a_pod_that_is_gone_or_has_ended_is_dead() -> None:
    for seen, deleted in ((pod(), True), (pod("Failed"), False), (pod("Succeeded"), False)):
        deaths = Deaths()
        assert deaths.see(seen, deleted=deleted)
        assert deaths.take() == [Death("u")]
        assert deaths.take() == []


def test_a_living_pod_is_not() -> None:
    deaths = Deaths()
    for seen in (pod(), pod("Pending", waiting="ContainerCreating"), pod(restarts=1)):
        assert not deaths.see(seen, deleted=False)
    assert deaths.take() == []


def test_a_container_is_dead_while_kubernetes_waits_before_it_starts_it_again() -> None:
    deaths = Deaths()
    assert deaths.see(crashed(2), deleted=False)
    assert not deaths.see(crashed(2), deleted=False)
    assert deaths.take() == [Death("u", "worker", 2)]
    assert not deaths.see(pod(restarts=3), deleted=False)
    assert deaths.see(crashed(3), deleted=False)
    assert deaths.see(crashed(4), deleted=False)
    assert deaths.take() == [Death("u", "worker", 4)]


def test_a_death_takes_the_workers_of_that_pod_and_container() -> None:
    whole, part = Death("u"), Death("u", "worker")
    assert whole.took("u", "other")
    assert whole.took("u", None)
    assert part.took("u", "worker")
    assert not part.took("u", "sidecar")
    assert not whole.took("v", "worker")


def test_a_container_that_lives_again_before_anybody_acted_is_not_told() -> None:
    deaths = Deaths()
    deaths.see(crashed(2), deleted=False)
    deaths.see(pod(restarts=3), deleted=False)
    assert deaths.take() == []
    deaths.see(crashed(3), deleted=False)
    taken = deaths.take()
    deaths.see(pod(restarts=4), deleted=False)
    deaths.put_back(taken)
    assert deaths.take() == []


def test_a_death_that_could_not_be_acted_on_comes_again() -> None:
    for seen, deleted in ((pod(), True), (pod("Failed"), False), (crashed(1), False)):
        deaths = Deaths()
        deaths.see(seen, deleted=deleted)
        taken = deaths.take()
        deaths.put_back(taken)
        assert deaths.take() == taken
