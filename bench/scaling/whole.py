"""Everything that is measured on a whole cluster, one after the other."""

from bench.findings import Finding
from bench.scaling.burst import burst
from bench.scaling.cluster import staged
from bench.scaling.killed import killed
from bench.scaling.node import on_node
from bench.scaling.starts import single_starts
from bench.scaling.steady import steady
from bench.server import Bed
from bench.subject import Say, Scale, Subject

PARTS = (single_starts, burst, steady, killed, on_node)


class WholeCluster(Subject):
    """Starts, bursts, steady loads, lost pods and scale-downs with pods that really run."""

    name = "scaling-cluster"
    by_default = False

    async def run(self, bed: Bed, scale: Scale, say: Say) -> list[Finding]:
        """Measure. The database is the chart's: the given server has no part in it."""
        del bed
        async with staged(say) as stage:
            return [await part(stage, scale, say) for part in PARTS]
