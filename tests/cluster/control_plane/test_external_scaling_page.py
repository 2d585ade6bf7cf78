"""docs/external-scaling.md on a real API server: what it says to apply can be applied."""

from tests.support.control_plane import ControlPlane
from tests.support.pages_yaml import Manifest, of_kind
from tests.support.waiting import until

PAGE = "external-scaling.md"


def test_the_pages_task_queue_and_autoscalers_are_accepted_and_find_their_target(
    clean: ControlPlane,
) -> None:
    (queue,) = of_kind(PAGE, "TaskQueue")
    clean.apply(queue)
    clean.run("scale", "tq/emails", "--replicas=3")
    assert clean.get("taskqueue", "emails")["spec"]["replicas"] == 3
    clean.apply(queue)  # as the page says: that undoes nothing
    assert clean.get("taskqueue", "emails")["spec"]["replicas"] == 3
    autoscalers = of_kind(PAGE, "HorizontalPodAutoscaler")
    assert autoscalers
    for number, each in enumerate(autoscalers):
        check(clean, {**each, "metadata": {"name": f"page-{number}"}})


def check(plane: ControlPlane, autoscaler: Manifest) -> None:
    name = autoscaler["metadata"]["name"]
    plane.apply(autoscaler)
    try:
        until(lambda: able_to_scale(plane, name), seconds=120, what="it reads the TaskQueue")
    finally:
        plane.run("delete", "hpa", name)


def able_to_scale(plane: ControlPlane, name: str) -> bool:
    conditions = plane.get("hpa", name).get("status", {}).get("conditions", [])
    return any(each["type"] == "AbleToScale" and each["status"] == "True" for each in conditions)
