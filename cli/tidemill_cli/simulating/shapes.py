"""Synthetic loads, by the names of `--load`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tidemill_operator.simulation import loads
from tidemill_operator.simulation.loads import Arrival


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a synthetic load is made from, times in seconds."""

    tasks: int
    per_second: float
    run: float
    lasts: float
    every: float
    seed: int

    def expected(self, name: str) -> float:
        """Return about how many tasks the load of that name will have, without making it."""
        if name in {"spike", "cron"}:
            return self.tasks * (1 if name == "spike" else self.lasts / self.every)
        return self.per_second * self.lasts


SHAPES: Mapping[str, Callable[[Shape], list[Arrival]]] = {
    "spike": lambda it: loads.burst(it.tasks, it.run),
    "cron": lambda it: loads.burst(
        it.tasks, it.run, every=it.every, times=max(1, int(it.lasts // it.every))
    ),
    "steady": lambda it: loads.steady(it.per_second, it.run, it.lasts, seed=it.seed),
    "noise": lambda it: loads.noisy(it.per_second, it.run, it.lasts, seed=it.seed),
    "sawtooth": lambda it: loads.sawtooth(
        it.per_second, it.run, it.lasts, period=it.every, seed=it.seed
    ),
}
