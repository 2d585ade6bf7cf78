"""Where to look for tasks: memory that makes claims cheap, and never decides what is claimed.

A claim that starts at the head of a queue's index steps over the entries of everything that was
claimed before and not vacuumed yet: 1,000,000 of them cost 100 ms and more, while a claim that
starts near where the last one ended costs under 1 ms. So for each queue and priority the newest
claimed place is remembered, and the next claim starts some thousands before it. Between the known
priorities, and beyond them, it looks for others: nothing dead lies there. What commits late, behind
the floor, is found by reading the queue whole: once a second, but never for more than 1/200 of the
time. A queue that nothing was claimed from yet can only be read whole: at once the first time, and
then for 1/20 of the time.

Priorities are strict, so a steady stream of high ones would keep a low one waiting for ever. Every
20th claim that comes back full is followed by a look at the task that waits longest in the lowest
priority of each queue.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from tidemill.models import ClaimedTask
from tidemill.store.budget import Budget
from tidemill.store.leases import ClaimPlan, Range

TRAIL: Final = 5000
"""How far, in places, a floor stays behind the newest claim: what other sessions commit late."""

WHOLE_SHARE: Final = 0.005
"""Most of the time that may go into reading known queues whole."""

WHOLE_SECONDS: Final = 1.0
"""How often they are read whole where that is cheap."""

SHARE: Final = 0.05
"""Most of the time that may go into reading new queues, and into looking for starved tasks."""

MOST_PRIORITIES: Final = 32
"""Priorities remembered a queue; the others are looked for between them."""

GUARD_EVERY: Final = 20
"""Full claims from one look for starved tasks to the next: a claim that came back short has left
nothing behind."""

RETURNED, FRESH = 0, 1
_ABOVE, _BELOW = 32768, -32769


class ClaimHints:
    """The memory. Times are monotonic seconds, given by the caller.

    A claim is a round: `start`, then `plan` and `learn` for each of its statements.
    """

    def __init__(self, *, strict: bool = False) -> None:
        """Know nothing. `strict`: queues are looked at in their order, new ones too."""
        self._strict = strict
        self._newest: dict[int, dict[int, int]] = {}
        self._read: set[int] = set()
        self._new_turn = 0
        self._whole = Budget(WHOLE_SHARE, WHOLE_SECONDS)
        self._new = Budget(SHARE)
        self._guard = Budget(SHARE)
        self._full_claims = 0
        self._full = False
        self._skipped = False

    def start(self, now: float) -> None:
        """Begin a round: what is due now is due for all its statements."""
        self._full_claims = self._full_claims + 1 if self._full else 0
        self._full = self._skipped = False
        self._whole.decide(now)
        self._new.decide(now)
        self._guard.decide(now)
        self._guard.due = self._guard.due and self._full_claims >= GUARD_EVERY

    def plan(self, queues: Sequence[int], names: Mapping[int, str]) -> ClaimPlan:
        """Return where to look in `queues`, in their order; `names` of queues by id."""
        new = [queue for queue in queues if queue not in self._newest]
        if self._whole.due or (self._strict and new and self._new.due):
            return ClaimPlan(whole=tuple(self._new_first(queues, new)), names=names)
        known = [each for queue in queues for each in self._ranges(queue)]
        unread = [queue for queue in new if queue not in self._read]
        # in a strict order never before the known ones: they wait until reading all is due
        again = [] if self._strict else new if self._new.due else unread
        whole = self._new_first(again, again)
        self._skipped = self._skipped or (bool(new) and not whole)
        return ClaimPlan(whole=tuple(whole), ranges=tuple(known), names=names)

    def learn(
        self, plan: ClaimPlan, claimed: Sequence[ClaimedTask], limit: int, began: float, now: float
    ) -> None:
        """Remember what a claim by `plan` found, from `began` to `now`."""
        self._full = self._full or len(claimed) >= limit
        if plan.whole:
            self._read.update(_reached(plan.whole, claimed, limit))
            self._new.spend(began, now)
            if self._whole.due:
                self._whole.spend(began, now)
        newest: dict[tuple[int, int], int] = {}
        for task in claimed:
            key = (task.queue_id, task.priority)
            seq = task.seq if task.lane == FRESH else 0
            if seq >= newest.get(key, 0):
                newest[key] = seq
        for (queue, priority), seq in newest.items():
            self._note(queue, priority, seq)

    def guard(self, queues: Sequence[int], names: Mapping[int, str]) -> ClaimPlan | None:
        """Return a plan that takes starved tasks of `queues`, when it is time for one."""
        return ClaimPlan(guarded=tuple(queues), names=names) if self._guard.due else None

    def learn_guard(self, began: float, now: float) -> None:
        """Remember what a look for starved tasks took, from `began` to `now`."""
        self._full_claims = 0
        self._guard.spend(began, now)

    def wait(self, now: float) -> float | None:
        """Return in how many seconds new queues may be read that this round passed by, if any."""
        return max(0.0, self._new.wait(now)) if self._skipped else None

    def _ranges(self, queue: int) -> list[Range]:
        """Return the parts of a known queue in the order of priority, and all between them."""
        places = self._newest.get(queue)
        if not places:
            return []
        bounds = [_ABOVE, *sorted(places, reverse=True), _BELOW]
        found: list[Range] = []
        for above, priority in pairwise(bounds):
            if above - priority > 1:
                found.append(Range(queue, above, None, 0, beyond=priority))
            if priority in places:
                found.append(Range(queue, priority, RETURNED, 0))
                found.append(Range(queue, priority, FRESH, max(0, places[priority] - TRAIL)))
        return found

    def _note(self, queue: int, priority: int, seq: int) -> None:
        places = self._newest.setdefault(queue, {})
        places[priority] = max(places.pop(priority, 0), seq)  # re-inserted: the newest comes last
        if len(places) > MOST_PRIORITIES:
            del places[next(iter(places))]

    def _new_first(self, queues: Sequence[int], new: Sequence[int]) -> Sequence[int]:
        """Return `queues` with another of the `new` ones in front each time."""
        if not new or self._strict:
            return queues
        self._new_turn += 1
        first = sorted(new)[self._new_turn % len(new)]
        return [first, *(queue for queue in queues if queue != first)]


def _reached(whole: Sequence[int], claimed: Sequence[ClaimedTask], limit: int) -> Sequence[int]:
    """Return which of the `whole` queues a claim came to before it was full."""
    last = claimed[-1].queue_id if len(claimed) >= limit > 0 else None
    return whole[: whole.index(last) + 1] if last in whole else whole  # ranges come after them
