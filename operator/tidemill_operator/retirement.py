"""Which workers go when there are too many? Pure: pods in, marks and counts out.

Idle ones drain. Where too few are idle, those with the fewest tasks are cordoned: they go on with
what they have, and drain when their last task ends. Whoever is marked and no longer surplus is
taken back.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tidemill.store.marks import Marks
from tidemill_operator.pods import Pod


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What to mind, by the pods' uids.

    `shy` pods are not to be chosen, `overdue` ones have had their time to finish, and `empty` ones
    have been without a worker for so long that none will appear.
    """

    shy: Collection[str] = ()
    overdue: Collection[str] = ()
    empty: Collection[str] = ()

    def starting(self, pod: Pod) -> bool:
        """Return whether a worker may be about to appear in the pod: it can not be marked yet.

        Kubernetes takes such a pod first, and its worker might have claimed by then.
        """
        return not pod.workers and pod.phase != "Pending" and pod.uid not in self.empty

    def may_go(self, pod: Pod) -> bool:
        """Return whether nothing is lost with the pod: nobody in it, or all in it are draining."""
        return pod.draining or not (pod.workers or self.starting(pod))


@dataclass(frozen=True, slots=True)
class Retirement:
    """The chosen pods, the first to go first, and the marks to write."""

    chosen: tuple[Pod, ...]
    marks: Marks

    @property
    def busy(self) -> int:
        """How many of the chosen have tasks in hand."""
        return sum(each.leases > 0 for each in self.chosen)


def retire(pods: Sequence[Pod], surplus: int, rules: Rules) -> Retirement:
    """Return which `surplus` pods go, and the marks that this takes."""
    able = sorted(
        (each for each in pods if each.uid not in rules.shy and not rules.starting(each)),
        key=lambda each: each.age,
        reverse=True,  # of equals the newest first, as Kubernetes does
    )
    chosen = sorted(able, key=lambda each: _preference(each, rules))[: max(0, surplus)]
    uids = {each.uid for each in chosen}
    overdue = [each for each in chosen if each.leases and each.uid in rules.overdue]
    drain = [each for each in chosen if not each.leases and not each.draining]
    cordon = [each for each in chosen if each.leases and not each.cordoned and each not in overdue]
    taken_back = [each for each in pods if each.marked and each.uid not in uids]
    return Retirement(
        chosen=tuple(chosen),
        marks=Marks(
            drain=_workers(drain),
            force=_workers([each for each in overdue if not each.draining]),
            cordon=_workers(cordon),
            unmark=_workers(taken_back),
        ),
    )


def _preference(pod: Pod, rules: Rules) -> tuple[bool, bool, bool, int]:
    """Return what decides: who may go already, then the idle, the cordoned, the least busy."""
    return not rules.may_go(pod), pod.leases > 0, not pod.cordoned, pod.leases


def _workers(pods: Sequence[Pod]) -> list[int]:
    return [worker.id for each in pods for worker in each.workers]
