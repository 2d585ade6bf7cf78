"""A pod with a task in hand is deleted by force: when does its task run again?"""

import asyncio
import random
import time
from uuid import UUID

from bench.case import BenchError
from bench.findings import Bar, Finding, quantile
from bench.scaling import manifests
from bench.scaling.cluster import Stage, call
from bench.scaling.loads import Load
from bench.scaling.starts import COLUMNS, row
from bench.subject import Say, Scale

NAME = "killed"
SCALING = {"minReplicas": 2, "maxReplicas": 2}
AGAIN_SECONDS = 2.0
SECONDS = 3.0
PATIENCE_SECONDS = 120.0
_HOLDER = """
SELECT w.pod_name, extract(epoch FROM l.claimed_at)::double precision
  FROM tidemill.leases l JOIN tidemill.workers w ON w.id = l.worker_id WHERE l.task_id = $1
"""


async def killed(stage: Stage, scale: Scale, say: Say) -> Finding:
    """Measure, with another worker idle each time."""
    found: list[float] = []
    async with stage.kept(manifests.owned(NAME, SCALING)):
        load = Load(stage.db, NAME, random.Random(NAME))
        for _ in range(scale.kills):
            await _two_ready(stage)
            found.append(await _again(stage, load))
            say(f"killed: again after {found[-1]:.2f} s")
    return Finding(
        name="scaling-cluster, killed",
        title="a pod with a task in hand is deleted by force, from the call to the next claim",
        columns=COLUMNS,
        rows=[row("its task is claimed again", found, 3)],
        figures={"seconds": found},
        bars=[
            Bar(
                "seconds to the next claim, the longest",
                quantile(found, 1.0),
                AGAIN_SECONDS,
                at_most=True,
            )
        ],
    )


async def _again(stage: Stage, load: Load) -> float:
    (task,) = await load.nap(SECONDS)
    first, _ = await _holder(stage, task, but="")
    began = time.time()
    await call(stage.api.delete_namespaced_pod, first, stage.kube.namespace, grace_period_seconds=0)
    _, claimed = await _holder(stage, task, but=first)
    return claimed - began


async def _holder(stage: Stage, task: UUID, *, but: str) -> tuple[str, float]:
    """Return which pod has the task in hand, and since when, once it is another than `but`."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < ends:
        found = await stage.db.fetch(_HOLDER, task)
        if found and found[0][0] != but:
            return str(found[0][0]), float(found[0][1])
        await asyncio.sleep(0.02)
    raise BenchError(f"nobody claimed the task within {PATIENCE_SECONDS:g} s")


async def _two_ready(stage: Stage) -> None:
    """Wait until both workers are there and have nothing in hand."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < ends:
        status = (await call(stage.kube.get, "tq", NAME)).get("status", {})
        figures = [status.get(each, 0) for each in ("readyReplicas", "queued", "running")]
        if figures == [2, 0, 0]:
            return
        await asyncio.sleep(0.3)
    raise BenchError(f"no two idle workers within {PATIENCE_SECONDS:g} s")
