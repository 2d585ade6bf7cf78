"""Which queue comes first: weighted turns, or a strict order. Pure."""

from collections.abc import Mapping, Sequence


class Turns:
    """The order in which a claim looks at its queues."""

    def __init__(self, *, strict: bool) -> None:
        """`strict`: always the order as it was given; else every queue is first in its turn."""
        self._strict = strict
        self._queues: list[int] = []
        self._turn = 0

    def set(self, weights: Mapping[int, int]) -> None:
        """Take turns among these queues, in this order; one of weight 2 is first twice a round."""
        most = max(weights.values(), default=0)
        # a, b, a rather than a, a, b: the heavier ones are spread over the round
        self._queues = [
            queue for turn in range(most) for queue, weight in weights.items() if turn < weight
        ]

    def next(self) -> list[int]:
        """Return the queues, each once, in the order for the next claim."""
        if self._strict or not self._queues:
            return list(dict.fromkeys(self._queues))
        self._turn = (self._turn + 1) % len(self._queues)
        return list(dict.fromkeys([*self._queues[self._turn :], *self._queues[: self._turn]]))

    def segments(
        self, queues: Sequence[int], limited: Mapping[int, object]
    ) -> list[tuple[bool, list[int]]]:
        """Return `queues` in runs of those with limits and those without: (limited, queues).

        A strict order keeps all of it. Else there are two runs at most, that of the first queue
        first: statements are saved, and the first in turn is still the first.
        """
        runs: list[tuple[bool, list[int]]] = []
        for queue in queues:
            kind = queue in limited
            known = runs[-1:] if self._strict else [each for each in runs if each[0] == kind]
            if known and known[0][0] == kind:
                known[0][1].append(queue)
            else:
                runs.append((kind, [queue]))
        return runs
