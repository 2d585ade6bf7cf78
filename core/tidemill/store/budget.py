"""How often something costly is done: for a share of the time at most. Pure."""

from dataclasses import dataclass


@dataclass(slots=True)
class Budget:
    """Something done for at most `share` of the time, and `seconds` apart at least.

    Times are monotonic seconds, given by the caller. What is due is due for a whole round. It costs
    what the cheaper of the last two rounds did: a process's first statement connects and plans too.
    """

    share: float
    seconds: float = 0.0
    due: bool = False
    _ended: float = float("-inf")
    _costs: tuple[float, float] = (0.0, 0.0)
    _spent: bool = False

    def decide(self, now: float) -> None:
        """Say for the round that begins `now` whether it is due."""
        self.due = self.wait(now) <= 0
        self._spent = False

    def wait(self, now: float) -> float:
        """Return in how many seconds it is due."""
        pause = min(self._costs) * (1 / self.share - 1)
        return max(self.seconds, pause) - (now - self._ended)

    def spend(self, began: float, now: float) -> None:
        """Remember that it was done, from `began` to `now`, once more in this round."""
        before, last = self._costs
        cost = now - began
        self._costs = (before, last + cost) if self._spent else (last, cost)
        self._ended, self._spent = now, True
