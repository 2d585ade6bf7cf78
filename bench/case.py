"""What is measured."""

from abc import ABC, abstractmethod

from bench.measure import Sample
from bench.target import Target


class Case(ABC):
    """One way of doing the work.

    A run prepares the target for itself and leaves nothing running; `tasks` is how many it does.
    """

    name: str
    meaning: str
    share: float = 1.0
    """Of the tasks that the others do: less for a way that is slow by design."""

    @abstractmethod
    async def run(self, target: Target, tasks: int) -> Sample:
        """Do the work once. Raises BenchError when not every task was done."""


class BenchError(Exception):
    """A run did not do what it should have: its figure would be a lie."""
