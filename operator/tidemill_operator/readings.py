"""What the database says of several queues, as one reading. Pure."""

from collections.abc import Sequence

from tidemill.models import QueueSnapshot
from tidemill_operator.need import Reading


def together(served: Sequence[QueueSnapshot]) -> Reading:
    """Return what is known of the queues that are served together; of none: an empty one."""
    if len(served) == 1:
        only = served[0]
        return Reading(
            queued=only.queued,
            due_soon=only.due_soon,
            running=only.running,
            oldest_seconds=only.oldest_seconds,
            arrival_per_second=only.arrival_per_second,
            mean_run_seconds=only.mean_run_seconds,
            paused=only.paused,
            max_running=only.max_running,
        )
    return _summed(served)


def _summed(served: Sequence[QueueSnapshot]) -> Reading:
    """Sum up queues: paused ones do not wait, limited ones wait only for what may run."""
    waking = [each for each in served if not each.paused]
    return Reading(
        queued=sum(_startable(each, each.queued) for each in waking),
        due_soon=sum(_startable(each, each.due_soon, after=each.queued) for each in waking),
        running=sum(each.running for each in served),
        oldest_seconds=max((each.oldest_seconds for each in waking), default=0.0),
        arrival_per_second=sum(each.arrival_per_second for each in waking),
        mean_run_seconds=_mean_run_seconds(waking),
        paused=bool(served) and not waking,
    )


def _startable(each: QueueSnapshot, tasks: int, *, after: int = 0) -> int:
    if each.max_running is None:
        return tasks
    return min(tasks, max(0, each.max_running - each.running - after))


def _mean_run_seconds(served: Sequence[QueueSnapshot]) -> float | None:
    """Return the mean, weighted by arrivals: a busy queue's tasks are what workers will run."""
    measured = [
        (max(each.arrival_per_second, 1e-6), each.mean_run_seconds)
        for each in served
        if each.mean_run_seconds is not None
    ]
    if not measured:
        return None
    total = sum(weight for weight, _ in measured)
    return sum(weight * seconds for weight, seconds in measured) / total
