"""Where to look for tasks: memory that makes claims cheap, and never decides what is claimed.

A claim that starts at the head of a queue's index steps over the entries of everything that was
claimed before and not vacuumed yet: 1,000,000 of them cost 200 ms, while a claim that starts near
where the last one ended costs under 1 ms. So for each queue and priority the newest claimed place
is remembered, and the next claim starts some thousands before it. What commits late behind that
floor, a priority not seen before, or the work of other processes is found by reading the queue
whole: whenever a claim came back short or there is a queue that nothing was claimed from yet (that
one first), or once a second, but never for more than a twentieth of the time.
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

RETURNED, FRESH = 0, 1


class ClaimHints:
    """The memory. Times are monotonic seconds, given by the caller."""

    def __init__(self) -> None:
        """Know nothing: the first plan reads all queues whole."""
        self._newest: dict[int, dict[int, int]] = {}
        self._turn = 0
        self._new_turn = 0
        self._short = True
        self._whole_end = float("-inf")
        self._whole_cost = 0.0

    def look_everywhere(self) -> None:
        """Plan a whole reading next, as far as its share of time allows."""
        self._short = True

    def plan(self, names: Mapping[int, str], turns: Sequence[int], now: float) -> ClaimPlan:
        """Return where to look now in the queues `names` (by id).

        Each entry of `turns` is first once in a round: a queue that is in it twice, twice as often.
        """
        queues = self._rotated(turns)
        new = [queue for queue in queues if queue not in self._newest]
        if self._whole_is_due(now, new=bool(new)):
            return ClaimPlan(whole=tuple(self._new_first(queues, new)), names=names)
        ranges = [each for queue in queues for each in self._ranges(queue)]
        return ClaimPlan(ranges=tuple(ranges), names=names)

    def learn(
        self, plan: ClaimPlan, claimed: Sequence[ClaimedTask], limit: int, began: float, now: float
    ) -> None:
        """Remember what a claim by `plan` found, from `began` to `now`."""
        self._short = len(claimed) < limit
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

    def _new_first(self, queues: list[int], new: list[int]) -> list[int]:
        """Return `queues` with another of the `new` ones in front each time."""
        if not new:
            return queues
        self._new_turn += 1
        first = sorted(new)[self._new_turn % len(new)]
        return [first, *(queue for queue in queues if queue != first)]

    def _rotated(self, turns: Sequence[int]) -> list[int]:
        if not turns:
            return []
        self._turn = (self._turn + 1) % len(turns)
        return list(dict.fromkeys([*turns[self._turn :], *turns[: self._turn]]))
