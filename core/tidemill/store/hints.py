"""Where to look for tasks: memory that makes claims cheap, and never decides what is claimed.

A claim that starts at the head of a queue's index steps over the entries of everything that was
claimed before and not vacuumed yet: 1,000,000 of them cost 200 ms, while a claim that starts near
where the last one ended costs under 1 ms. So for each queue and priority the newest claimed place
is remembered, and the next claim starts some thousands before it. What commits late behind that
floor, a priority not seen before, or the work of other processes is found by reading the queue
whole: whenever a claim came back short or there is a queue that nothing was claimed from yet (that
one first), or once a second, but never for more than a twentieth of the time.

Priorities are strict, so a steady stream of high ones would keep a low one waiting for ever. Every
20th claim that comes back full is followed by a look at the task that waits longest in the lowest
priority of each queue, by the same share of time.
"""

from collections.abc import Mapping, Sequence

from tidemill.models import ClaimedTask
from tidemill.store.leases import ClaimPlan, Range

TRAIL = 5000
"""How far, in places, a floor stays behind the newest claim: what other sessions commit late."""

WHOLE_SHARE = 0.05
"""Most of the time that may go into reading queues whole."""

WHOLE_SECONDS = 1.0
"""How often a busy queue is read whole."""

MOST_PRIORITIES = 32
"""Priorities remembered a queue; others are found by reading it whole."""

GUARD_EVERY = 20
"""Full claims from one look for starved tasks to the next: a claim that came back short has left
nothing behind."""

RETURNED, FRESH = 0, 1


class ClaimHints:
    """The memory. Times are monotonic seconds, given by the caller."""

    def __init__(self, *, strict: bool = False) -> None:
        """Know nothing: the first plan reads all queues whole. `strict`: in their order always."""
        self._strict = strict
        self._newest: dict[int, dict[int, int]] = {}
        self._new_turn = 0
        self._short = True
        self._whole_end = float("-inf")
        self._whole_cost = 0.0
        self._full_claims = 0
        self._guard_end = float("-inf")
        self._guard_cost = 0.0

    def look_everywhere(self) -> None:
        """Plan a whole reading next, as far as its share of time allows."""
        self._short = True

    def plan(self, queues: Sequence[int], names: Mapping[int, str], now: float) -> ClaimPlan:
        """Return where to look now in `queues`, in their order; `names` of queues by id."""
        new = [queue for queue in queues if queue not in self._newest]
        if self._whole_is_due(now, new=bool(new)):
            return ClaimPlan(whole=tuple(self._new_first(queues, new)), names=names)
        ranges = [each for queue in queues for each in self._ranges(queue)]
        return ClaimPlan(ranges=tuple(ranges), names=names)

    def guard(
        self, queues: Sequence[int], names: Mapping[int, str], now: float
    ) -> ClaimPlan | None:
        """Return a plan that takes starved tasks of `queues`, when it is time for one."""
        pause = self._guard_cost * (1 / WHOLE_SHARE - 1)
        if self._full_claims < GUARD_EVERY or now - self._guard_end < pause:
            return None
        return ClaimPlan(guarded=tuple(queues), names=names)

    def learn_guard(self, began: float, now: float) -> None:
        """Remember what a look for starved tasks took, from `began` to `now`."""
        self._full_claims = 0
        self._guard_end = now
        self._guard_cost = now - began

    def learn(
        self, plan: ClaimPlan, claimed: Sequence[ClaimedTask], limit: int, began: float, now: float
    ) -> None:
        """Remember what a claim by `plan` found, from `began` to `now`."""
        self._short = len(claimed) < limit
        self._full_claims = 0 if self._short else self._full_claims + 1
        if plan.whole:
            self._whole_end = now
            self._whole_cost = now - began
        newest: dict[tuple[int, int], int] = {}
        for task in claimed:
            key = (task.queue_id, task.priority)
            seq = task.seq if task.lane == FRESH else 0
            if seq >= newest.get(key, 0):
                newest[key] = seq
        for (queue, priority), seq in newest.items():
            self._note(queue, priority, seq)

    def _whole_is_due(self, now: float, *, new: bool) -> bool:
        # `new`: there is a queue that nothing was claimed from yet. Ranges would pass it by for as
        # long as the known queues fill every claim.
        pause = self._whole_cost * (1 / WHOLE_SHARE - 1)
        if not (self._short or new):
            pause = max(pause, WHOLE_SECONDS)
        return now - self._whole_end >= pause or not self._newest

    def _ranges(self, queue: int) -> list[Range]:
        found: list[Range] = []
        for priority, newest in sorted(self._newest.get(queue, {}).items(), reverse=True):
            found.append(Range(queue, priority, RETURNED, 0))
            found.append(Range(queue, priority, FRESH, max(0, newest - TRAIL)))
        return found

    def _note(self, queue: int, priority: int, seq: int) -> None:
        places = self._newest.setdefault(queue, {})
        places[priority] = max(places.pop(priority, 0), seq)  # re-inserted: the newest comes last
        if len(places) > MOST_PRIORITIES:
            del places[next(iter(places))]

    def _new_first(self, queues: Sequence[int], new: list[int]) -> Sequence[int]:
        """Return `queues` with another of the `new` ones in front each time."""
        if not new or self._strict:
            return queues
        self._new_turn += 1
        first = sorted(new)[self._new_turn % len(new)]
        return [first, *(queue for queue in queues if queue != first)]
