"""Which queues does each TaskQueue serve, and which TaskQueues get in each other's way? Pure.

The oldest of several TaskQueues for one queue or one target is served, the others are told. A queue
that any TaskQueue names, served or not, is left out of '*'.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tidemill.models import QueueSnapshot
from tidemill_operator.need import Reading
from tidemill_operator.policy import EVERY_QUEUE
from tidemill_operator.problems import DUPLICATE_QUEUE, DUPLICATE_TARGET, Problem
from tidemill_operator.readings import together
from tidemill_operator.resources import queue_of, worker_name
from tidemill_operator.view import uid_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What one TaskQueue serves: `queue`, or with '*' all but `others`."""

    queue: str
    others: frozenset[str] = field(default_factory=frozenset[str])
    problem: Problem | None = None

    def serves(self, queue: str) -> bool:
        """Return whether the queue of this name is served."""
        if self.queue == EVERY_QUEUE:
            return queue not in self.others
        return queue == self.queue


def assign(task_queues: Sequence[Mapping[str, Any]]) -> dict[str, Assignment]:
    """Return the assignment of each TaskQueue by uid; `task_queues` come the oldest first.

    One that is being deleted gets none: its Deployment is going, and must not be made anew.
    """
    living = [each for each in task_queues if "deletionTimestamp" not in each["metadata"]]
    named = frozenset(queue_of(each) for each in living) - {EVERY_QUEUE}
    queues: dict[str, str] = {}
    targets: dict[tuple[str, str], str] = {}
    assigned: dict[str, Assignment] = {}
    for each in living:
        queue, target = queue_of(each), _target(each)
        problem = _taken(DUPLICATE_QUEUE, f"queue {queue!r} is", queues.get(queue)) or _taken(
            DUPLICATE_TARGET, f"Deployment {target[1]} is", targets.get(target)
        )
        if problem is None:
            queues[queue] = targets[target] = _name(each)
        assigned[uid_of(each)] = Assignment(queue=queue, others=named, problem=problem)
    return assigned


def reading_for(assignment: Assignment, snapshots: Iterable[QueueSnapshot]) -> Reading:
    """Return what is known of the assigned queues together; one that is not there yet is empty."""
    return together([each for each in snapshots if assignment.serves(each.queue)])


def _target(task_queue: Mapping[str, Any]) -> tuple[str, str]:
    reference = task_queue["spec"].get("scaleTargetRef")
    name = reference["name"] if reference else worker_name(task_queue)
    return task_queue["metadata"]["namespace"], name


def _name(task_queue: Mapping[str, Any]) -> str:
    return f"{task_queue['metadata']['namespace']}/{task_queue['metadata']['name']}"


def _taken(reason: str, what: str, holder: str | None) -> Problem | None:
    if holder is None:
        return None
    return Problem(reason, f"{what} served by the older TaskQueue {holder}")
