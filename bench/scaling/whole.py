"""Everything that is measured on a whole cluster, one after the other."""

from collections.abc import Awaitable, Callable

from bench.findings import Finding
from bench.scaling.burst import burst
from bench.scaling.cluster import Stage, staged
from bench.scaling.killed import killed
from bench.scaling.node import on_node
from bench.scaling.starts import single_starts
from bench.scaling.steady import steady
from bench.server import Bed
from bench.subject import Say, Scale, Subject

Part = Callable[[Stage, Scale, Say], Awaitable[Finding]]


class WholeCluster(Subject):
    """What pods that really run are needed for. One installation serves all its parts."""

    by_default = False

    def __init__(self, name: str, *parts: Part) -> None:
        """Measure these, in this order."""
        self.name = name
        self._parts = parts

    async def run(self, bed: Bed, scale: Scale, say: Say) -> list[Finding]:
        """Measure. The database is the chart's: the given server has no part in it."""
        del bed
        async with staged(say) as stage:
            return [await part(stage, scale, say) for part in self._parts]


SUBJECTS = (
    WholeCluster("scaling-cluster", single_starts, burst, killed, steady),
    WholeCluster("scaling-node", on_node),
)
