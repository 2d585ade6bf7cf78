"""How often something costly is done: for a share of the time at most. Pure."""

from dataclasses import dataclass


@dataclass(slots=True)
class Budget:
    """Something done for at most `share` of the time, and `seconds` apart at least.

    Times are monotonic seconds, given by the caller. What is due is due for a whole round.
    """

    share: float
    seconds: float = 0.0
    due: bool = False
    _ended: float = float("-inf")
    _cost: float = 0.0

    def decide(self, now: float) -> None:
        """Say for the round that begins `now` whether it is due."""
        self.due = self.wait(now) <= 0
        if self.due:
            self._cost = 0.0

    def wait(self, now: float) -> float:
        """Return in how many seconds it is due."""
        return max(self.seconds, self._cost * (1 / self.share - 1)) - (now - self._ended)

    def spend(self, began: float, now: float) -> None:
        """Remember that it was done, from `began` to `now`, once more in this round."""
        self._ended = now
        self._cost += now - began
