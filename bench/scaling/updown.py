"""Scale-downs in great number, with the API server alone and real workers on this machine."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.case import BenchError
from bench.findings import Finding
from bench.scaling import busy, manifests
from bench.scaling.kubelet import playing
from bench.scaling.loads import Load, Pattern, going
from bench.scaling.plane import operated, told
from bench.scaling.watching import Access, Watch, watching
from bench.server import Bed
from bench.subject import Say, Scale, Subject
from bench.target import Target

SCALING = {
    "maxReplicas": 4,
    "idleSeconds": 1,
    "scaleDown": {"stabilizationWindowSeconds": 1},
}
"""As quick to take workers away as can be: each time is a chance to take a busy one."""
MOST_SECONDS = 600.0
SETTLE_SECONDS = 120.0
SAY_SECONDS = 15.0
IMAGE = "localhost/none:1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """So many queues with one load, called by a common first word."""

    name: str
    word: str
    count: int
    concurrency: int
    tasks_per_replica: int
    pattern: Pattern

    @property
    def queues(self) -> list[str]:
        """Their names."""
        return [f"{self.word}-{number}" for number in range(self.count)]

    @property
    def scaling(self) -> dict[str, Any]:
        """How they are scaled."""
        return {**SCALING, "tasksPerReplica": self.tasks_per_replica}


KINDS = (
    Kind(
        name="concurrency 1, bursts of mixed length",
        word="one",
        count=8,
        concurrency=1,
        tasks_per_replica=1,
        pattern=Load.bursts,
    ),
    Kind(
        name="concurrency 20, light load on all",
        word="many",
        count=2,
        concurrency=20,
        tasks_per_replica=5,
        pattern=Load.trickle,
    ),
)


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
        notes = ["busy, never ready: nobody could know of them yet; their tasks were given back"]
        return [busy.finding(self.name, title, found, notes)]


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
            await _until(watch, wanted, say)
        await _settled(target)
        downs = _downs(watch)
        groups = [
            busy.Group(
                name=kind.name,
                queues=kind.queues,
                downs=sum(downs[each] for each in kind.queues),
            )
            for kind in kinds
        ]
        return [await busy.tally(db, each, kubelet.stops) for each in groups]


async def _until(watch: Watch, wanted: int, say: Say) -> None:
    """Wait for so many scale-downs, and say now and then how far it is."""
    ends = time.monotonic() + MOST_SECONDS
    while (seen := _downs(watch).total()) < wanted:
        if time.monotonic() > ends:
            raise BenchError(f"{seen} of {wanted} scale-downs within {MOST_SECONDS:g} s")
        say(f"scaling-busy: {seen} of {wanted} scale-downs")
        await asyncio.sleep(SAY_SECONDS)


def _downs(watch: Watch) -> Counter[str]:
    """Return how often each Deployment's replicas were lowered."""
    found, last = Counter[str](), dict[str, int]()
    for event in watch.events:
        name, replicas = event.words[0], int(event.words[1].replace("-", "0"))
        found[name] += replicas < last.get(name, 0)
        last[name] = replicas
    return found


async def _settled(target: Target) -> None:
    """Wait until all tasks have ended."""
    ends = time.monotonic() + SETTLE_SECONDS
    while not await target.drained():
        if time.monotonic() > ends:
            raise BenchError(f"tasks were left after {SETTLE_SECONDS:g} s")
        await asyncio.sleep(0.2)
