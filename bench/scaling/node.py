"""Scale-downs on a whole cluster: pods that the kubelet starts and stops."""

import random
import time

from bench.findings import Finding
from bench.scaling import busy, downs, manifests
from bench.scaling.cluster import Stage
from bench.scaling.downs import KINDS
from bench.scaling.kubelet import Stop
from bench.scaling.loads import Load, going
from bench.scaling.watching import Watch, watching
from bench.subject import Say, Scale

POD = (
    ".metadata.uid",
    'and .metadata.labels (index .metadata.labels "tidemill.dev/taskqueue")',
    ".metadata.deletionTimestamp",
    "and .status.containerStatuses (index .status.containerStatuses 0).ready",
)
COUNTS = (2, 1)
"""How many queues of each kind: the pods of more would not fit on a small machine"""


async def on_node(stage: Stage, scale: Scale, say: Say) -> Finding:
    """Measure."""
    wanted = scale.scale_downs // 5
    kinds = [kind.of(count) for kind, count in zip(KINDS, COUNTS, strict=True)]
    made = [
        manifests.owned(queue, kind.scaling, concurrency=kind.concurrency)
        for kind in kinds
        for queue in kind.queues
    ]
    async with stage.queues(*made) as watch, watching(stage.access, "pods", *POD) as pods:
        loads = [
            (Load(stage.db, queue, random.Random(queue)), kind.pattern)
            for kind in kinds
            for queue in kind.queues
        ]
        async with going(loads):
            await downs.until(watch, wanted, say)
        await downs.settled([load for load, _ in loads])
        groups = [kind.group(downs.count(watch)) for kind in kinds]
        found = [await busy.tally(stage.db, each, stops_of(pods)) for each in groups]
    title = "pods stopped with tasks in hand; a whole cluster"
    return busy.finding("scaling-node", title, found, wanted)


def stops_of(watch: Watch) -> list[Stop]:
    """Return the pods of workers that were told to stop, from the events of all pods."""
    wall = time.time() - time.monotonic()
    ready, found = set[str](), dict[str, Stop]()
    for event in watch.events:
        uid, queue, deletion, is_ready = event.words
        if queue != "-" and uid not in found and (deletion != "-" or event.deleted):
            found[uid] = Stop(uid, queue, event.at + wall, uid in ready)
        elif is_ready == "true":
            ready.add(uid)
    return list(found.values())
