"""Which workers go when there are too many? Pure: their holders in, marks and counts out.

A holder is what goes as a whole with the workers in it: a pod, or a process of `tidemill up`.

Idle ones drain. Where too few are idle, those with the fewest tasks are cordoned: they go on with
what they have, and drain when their last task ends. Whoever is marked and no longer surplus is
taken back.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from tidemill.store.marks import Marks, PodWorker


class Holder(Protocol):
    """What goes as a whole: a pod, or a process of `tidemill up`."""

    @property
    def uid(self) -> str:
        """What tells it from all others."""
        ...

    @property
    def age(self) -> str:
        """When it began; later is greater."""
        ...

    @property
    def pending(self) -> bool:
        """Whether nothing runs in it yet."""
        ...

    @property
    def workers(self) -> Sequence[PodWorker]:
        """Its workers, as the database knows them."""
        ...

    @property
    def leases(self) -> int:
        """How many tasks its workers have in hand."""
        ...

    @property
    def draining(self) -> bool:
        """Whether all of its workers are marked as draining."""
        ...

    @property
    def cordoned(self) -> bool:
        """Whether all of its workers claim nothing more."""
        ...

    @property
    def marked(self) -> bool:
        """Whether any of its workers has a mark."""
        ...


H = TypeVar("H", bound=Holder)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What to mind, by the holders' uids.

    `shy` ones are not to be chosen, `overdue` ones have had their time to finish, and `empty` ones
    have been without a worker for so long that none will appear.
    """

    shy: Collection[str] = ()
    overdue: Collection[str] = ()
    empty: Collection[str] = ()

    def starting(self, each: Holder) -> bool:
        """Return whether a worker may be about to appear in it: it can not be marked yet.

        Kubernetes takes such a pod first, and its worker might have claimed by then.
        """
        return not each.workers and not each.pending and each.uid not in self.empty

    def may_go(self, each: Holder) -> bool:
        """Return whether nothing is lost with it: nobody in it, or all in it are draining."""
        return each.draining or not (each.workers or self.starting(each))


@dataclass(frozen=True, slots=True)
class Retirement(Generic[H]):
    """The chosen holders, the first to go first, and the marks to write."""

    chosen: tuple[H, ...]
    marks: Marks

    @property
    def busy(self) -> int:
        """How many of the chosen have tasks in hand."""
        return sum(each.leases > 0 for each in self.chosen)


def retire(holders: Sequence[H], surplus: int, rules: Rules) -> Retirement[H]:
    """Return which `surplus` holders go, and the marks that this takes."""
    able = sorted(
        (each for each in holders if each.uid not in rules.shy and not rules.starting(each)),
        key=lambda each: each.age,
        reverse=True,  # of equals the newest first, as Kubernetes does
    )
    chosen = sorted(able, key=lambda each: _preference(each, rules))[: max(0, surplus)]
    uids = {each.uid for each in chosen}
    overdue = [each for each in chosen if each.leases and each.uid in rules.overdue]
    drain = [each for each in chosen if not each.leases and not each.draining]
    cordon = [each for each in chosen if each.leases and not each.cordoned and each not in overdue]
    taken_back = [each for each in holders if each.marked and each.uid not in uids]
    return Retirement(
        chosen=tuple(chosen),
        marks=Marks(
            drain=_workers(drain),
            force=_workers([each for each in overdue if not each.draining]),
            cordon=_workers(cordon),
            unmark=_workers(taken_back),
        ),
    )


def _preference(each: Holder, rules: Rules) -> tuple[bool, bool, bool, int]:
    """Return what decides: who may go already, then the idle, the cordoned, the least busy."""
    return not rules.may_go(each), each.leases > 0, not each.cordoned, each.leases


def _workers(holders: Sequence[Holder]) -> list[int]:
    return [worker.id for each in holders for worker in each.workers]
