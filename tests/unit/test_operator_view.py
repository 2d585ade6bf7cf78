"""The operator's picture of the cluster: what counts when watches and lists disagree."""

from typing import Any

from tidemill_operator.view import View


class Noticed:
    def __init__(self) -> None:
        self.times = 0
        self.view = View(self.notice)

    def notice(self) -> None:
        self.times += 1


def body(name: str, version: int, *, uid: str | None = None, generation: int = 1) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "namespace": "n",
            "uid": uid or f"uid-{name}",
            "resourceVersion": str(version),
            "generation": generation,
            "creationTimestamp": f"2026-01-01T00:00:{version % 60:02}Z",
        }
    }


def names(view: View) -> list[str]:
    return [each["metadata"]["name"] for each in view.task_queues]


def test_task_queues_come_the_oldest_first() -> None:
    view = Noticed().view
    for name, version in (("b", 2), ("a", 3), ("c", 1)):
        view.see_task_queue(body(name, version))
    assert names(view) == ["c", "b", "a"]


def test_of_two_of_one_second_the_one_that_is_served_counts_as_older() -> None:
    view = Noticed().view
    served = {**body("z", 1), "status": {"desiredReplicas": 0}}
    told = {**body("a", 1), "status": {"conditions": []}}
    for each in (told, served):
        view.see_task_queue(each)
    assert names(view) == ["z", "a"]


def test_an_older_version_is_ignored() -> None:
    view = Noticed().view
    view.see_task_queue(body("a", 9, generation=2))
    view.see_task_queue(body("a", 8, generation=1))
    assert view.task_queues[0]["metadata"]["generation"] == 2


def test_only_what_matters_wakes_the_loop() -> None:
    noticed = Noticed()
    noticed.view.see_task_queue(body("a", 1))
    noticed.view.see_task_queue(body("a", 2))  # our own status write
    assert noticed.times == 1
    noticed.view.see_task_queue(body("a", 3, generation=2))
    assert noticed.times == 2


def test_a_list_removes_what_it_does_not_name_and_what_went_is_handed_over_once() -> None:
    view = Noticed().view
    view.see_task_queue(body("kept", 1))
    view.see_task_queue(body("lost", 2))
    view.begin_list()
    view.end_list([body("kept", 1), body("new", 3)])
    assert names(view) == ["kept", "new"]
    assert [each["metadata"]["name"] for each in view.take_gone()] == ["lost"]
    assert view.take_gone() == []
    assert view.complete


def test_what_is_seen_during_a_list_is_newer_than_the_list() -> None:
    view = Noticed().view
    view.see_task_queue(body("going", 1))
    view.begin_list()
    view.see_task_queue(body("coming", 5))
    view.see_task_queue(body("going", 6), deleted=True)
    view.end_list([body("going", 1)])
    assert names(view) == ["coming"]


def test_a_late_answer_to_a_write_does_not_bring_back_what_is_gone() -> None:
    view = Noticed().view
    view.see_task_queue(body("a", 1))
    view.see_written(body("a", 2))
    assert [each["metadata"]["resourceVersion"] for each in view.task_queues] == ["2"]
    view.see_task_queue(body("a", 3), deleted=True)
    view.see_written(body("a", 2))
    assert names(view) == []


def test_a_farewell_that_failed_is_handed_over_again() -> None:
    view = Noticed().view
    view.see_task_queue(body("a", 1))
    view.see_task_queue(body("a", 2), deleted=True)
    (gone,) = view.take_gone()
    view.put_back_gone(gone)
    assert view.take_gone() == [gone]


def test_a_deployment_made_anew_replaces_the_old_one_whatever_its_version() -> None:
    view = Noticed().view
    view.see_deployment(body("d", 9, uid="old"))
    view.see_deployment(body("d", 3, uid="new"))
    assert view.deployment(("n", "d")) == body("d", 3, uid="new")
    view.see_deployment(body("d", 9, uid="old"), deleted=True)  # the old one's end comes late
    assert view.deployment(("n", "d")) is not None
    view.see_deployment(body("d", 4, uid="new"), deleted=True)
    assert view.deployment(("n", "d")) is None
