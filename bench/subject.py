"""What can be measured, and on which scale."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from bench.findings import Finding
from bench.server import Bed

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much of everything."""

    tasks: int
    """Tasks a run"""
    rounds: int
    batches: tuple[int, ...]
    """Of the settings of the limit; so are the connections"""
    connections: tuple[int, ...]
    finalists: int
    """How many settings of the limit go through all rounds, after one try of each"""
    many: int
    """What counts as many: tasks that wait, are scheduled, have completed, or dead entries"""
    pinned_seconds: int
    """How long the steady load runs under the pinned snapshot"""
    slice_seconds: int
    """How long it runs at a time, in turn with the one without"""
    samples: int
    """Of each latency and of each claim's cost"""
    scalings: int
    """Enqueues that the operator is timed by"""
    bursts: int
    """Of a hundred tasks each, on a whole cluster"""
    steady_seconds: int
    """How long a trickle is watched there"""
    kills: int
    """Pods deleted by force there"""
    scale_downs: int
    """With the API server alone; a fifth of them on a whole cluster"""
    task_queues: int
    """That one operator has"""


FULL = Scale(
    tasks=50_000,
    rounds=3,
    batches=(100, 200, 500, 1000),
    connections=(1, 2, 4),
    finalists=2,
    many=1_000_000,
    pinned_seconds=60,
    slice_seconds=5,
    samples=100,
    scalings=30,
    bursts=2,
    steady_seconds=150,
    kills=10,
    scale_downs=1000,
    task_queues=200,
)
QUICK = Scale(
    tasks=12_000,
    rounds=1,
    batches=(200, 1000),
    connections=(1, 2),
    finalists=2,
    many=20_000,
    pinned_seconds=2,
    slice_seconds=1,
    samples=10,
    scalings=5,
    bursts=1,
    steady_seconds=20,
    kills=3,
    scale_downs=30,
    task_queues=20,
)


class Subject(ABC):
    """A question that is answered by figures beside their limit, taken in one run."""

    name: str
    by_default: bool = True
    """Whether it runs when no case is named: not what needs a Kubernetes"""

    @abstractmethod
    async def run(self, bed: Bed, scale: Scale, say: Say) -> list[Finding]:
        """Measure. Leaves no database and no process behind."""
