"""What Kubernetes itself needs to start pods of the image: what our own times stand beside."""

import asyncio
import time
from typing import Any

from bench.case import BenchError
from bench.scaling import manifests
from bench.scaling.cluster import Stage, call

PATIENCE_SECONDS = 120.0
LOOK_SECONDS = 0.1


async def bare_start(stage: Stage, pods: int = 1) -> float:
    """Return the seconds from the creation of so many pods to the last one's program running."""
    names = [f"bare-{number}" for number in range(pods)]
    began = time.time()
    await asyncio.gather(*(_create(stage, name) for name in names))
    try:
        ran = await asyncio.gather(*(_ran(stage, name) for name in names))
    finally:
        await asyncio.gather(*(_delete(stage, name) for name in names))
    return max(ran) - began


async def _create(stage: Stage, name: str) -> None:
    create: Any = stage.api.create_namespaced_pod
    await call(create, stage.kube.namespace, manifests.bare(name, stage.image))


async def _ran(stage: Stage, name: str) -> float:
    """Return the time that the pod printed, once it has ended."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while True:
        found = await call(stage.api.read_namespaced_pod, name, stage.kube.namespace)
        if found.status.phase == "Succeeded":
            break
        if found.status.phase == "Failed" or time.monotonic() > ends:
            raise BenchError(f"a bare pod did not run: {found.status.phase}")
        await asyncio.sleep(LOOK_SECONDS)
    return float(await call(stage.api.read_namespaced_pod_log, name, stage.kube.namespace))


async def _delete(stage: Stage, name: str) -> None:
    delete: Any = stage.api.delete_namespaced_pod
    await call(delete, name, stage.kube.namespace, grace_period_seconds=0)
    ends = time.monotonic() + PATIENCE_SECONDS
    selector = f"metadata.name={name}"
    listing: Any = stage.api.list_namespaced_pod
    while (await call(listing, stage.kube.namespace, field_selector=selector)).items:
        if time.monotonic() > ends:
            raise BenchError(f"pod {name} did not go")
        await asyncio.sleep(LOOK_SECONDS)
