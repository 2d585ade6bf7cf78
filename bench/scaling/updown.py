"""Scale-downs in great number, with the API server alone and real workers on this machine."""

import random
from collections.abc import Sequence

from bench.findings import Finding
from bench.scaling import busy, downs, manifests
from bench.scaling.downs import KINDS, Kind
from bench.scaling.kubelet import playing
from bench.scaling.loads import Load, going
from bench.scaling.plane import operated, told
from bench.scaling.watching import Access, watching
from bench.server import Bed
from bench.subject import Say, Scale, Subject
from bench.target import Target

IMAGE = "localhost/none:1"


class UpDown(Subject):
    """How many pods are stopped with tasks in hand while load goes up and down."""

    name = "scaling-busy"
    by_default = False

    async def run(self, bed: Bed, scale: Scale, say: Say) -> list[Finding]:
        """Measure."""
        async with bed.database() as target, operated(target, say) as plane:
            access = Access(plane.kubectl, plane.kubeconfig, plane.namespace)
            with told():
                for kind in KINDS:
                    for queue in kind.queues:
                        plane.apply(manifests.deployment(queue, {"image": IMAGE}))
                        plane.apply(manifests.scaled(queue, kind.scaling))
            found = await _measure(target, access, KINDS, scale.scale_downs, say)
        title = "pods stopped with tasks in hand; API server alone, workers on this machine"
        return [busy.finding(self.name, title, found, scale.scale_downs)]


async def _measure(
    target: Target, access: Access, kinds: Sequence[Kind], wanted: int, say: Say
) -> list[busy.Tally]:
    slots = {queue: kind.concurrency for kind in kinds for queue in kind.queues}

    def worker(app: str) -> tuple[dict[str, str], list[str]]:
        variables = {
            "TIDEMILL_DATABASE_URL": target.url,
            "TIDEMILL_DATABASE_POOL_SIZE": "2",
            "TIDEMILL_LOG_LEVEL": "warning",
        }
        return variables, ["bench.naps:app", "--queue", app, "--concurrency", str(slots[app])]

    async with (
        target.client() as db,
        watching(access, "deployments", ".metadata.name", ".spec.replicas") as watch,
        playing(access, worker) as kubelet,
    ):
        loads = {queue: Load(db, queue, random.Random(queue)) for queue in slots}
        driven = [(loads[queue], kind.pattern) for kind in kinds for queue in kind.queues]
        async with going(driven):
            await downs.until(watch, wanted, say)
        await downs.settled(list(loads.values()))
        found = downs.count(watch)
        groups = [kind.group(found) for kind in kinds]
        return [await busy.tally(db, each, kubelet.stops) for each in groups]
