"""A simulated worker, as what takes workers away looks at it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tidemill.store.marks import PodWorker


@dataclass(frozen=True, slots=True)
class Run:
    """A task in hand: which of the arrivals it is, and when it began."""

    task: int
    began: float


@dataclass(slots=True, eq=False)
class Worker:
    """A worker: its number, when it is (or was) ready, and the tasks it has in hand.

    It is a `retirement.Holder`, so that the operator's own choice of who goes can be played.
    """

    number: int
    ready_at: float
    ready: bool = False
    draining: bool = False
    cordoned: bool = False
    runs: list[Run] = field(default_factory=list[Run])

    @property
    def uid(self) -> str:
        """Its number."""
        return str(self.number)

    @property
    def age(self) -> str:
        """When it was asked for; later is greater."""
        return f"{self.number:09}"

    @property
    def pending(self) -> bool:
        """Whether it is still starting: nobody is lost with it."""
        return not self.ready

    @property
    def leases(self) -> int:
        """How many tasks it has in hand."""
        return len(self.runs)

    @property
    def marked(self) -> bool:
        """Whether it claims nothing more."""
        return self.draining or self.cordoned

    @property
    def workers(self) -> Sequence[PodWorker]:
        """Itself, once it is ready."""
        if not self.ready:
            return ()
        return (PodWorker(self.number, self.uid, None, self.draining, self.marked, self.leases),)
