"""Which pods go when there are too many? The idle ones: busy pods are spared as far as is known.

Before fewer replicas are written, every pod's tasks in hand are counted. Busy pods get a deletion
cost, so that Kubernetes takes the idle ones first; the decision takes no more replicas away than
there are idle pods (`protectBusy`). A pod that claims a task just then is drained like in any
deploy. Tasks in hand of workers that are no pods of this target say nothing here.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from tidemill.store.scaling import ScalingStore
from tidemill_operator.body import part
from tidemill_operator.kube import Kube
from tidemill_operator.kube_errors import KubeNotFound
from tidemill_operator.status import selector_text
from tidemill_operator.view import uid_of

log = logging.getLogger(__name__)

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


def costs(pods: Sequence[Mapping[str, Any]], leases: Mapping[str, int]) -> dict[str, str | None]:
    """Return the deletion costs to change, by uid of the pod; None = take the old one off."""
    changes: dict[str, str | None] = {}
    for pod in pods:
        old = part(pod, "metadata", "annotations").get(DELETION_COST)
        held = leases.get(uid_of(pod), 0)
        new = str(held) if held else None
        if old != new:
            changes[uid_of(pod)] = new
    return changes


class Sparing:
    """Counts the busy pods of a target and makes Kubernetes prefer the others."""

    def __init__(self, kube: Kube, scaling: ScalingStore) -> None:
        """Take the two sides."""
        self._kube = kube
        self._scaling = scaling

    async def mark_busy(self, deployment: Mapping[str, Any]) -> int:
        """Give the busy pods of `deployment` their cost; return how many there are.

        Raises a KubeError or what the database raises.
        """
        namespace = deployment["metadata"]["namespace"]
        selector = selector_text(deployment["spec"]["selector"])
        pods = [
            pod
            for pod in await self._kube.pods(namespace, selector)
            if "deletionTimestamp" not in pod["metadata"]
        ]
        leases = await self._scaling.leases_by_pod([uid_of(pod) for pod in pods])
        changes = costs(pods, leases)
        await asyncio.gather(
            *(self._set_cost(pod, changes[uid_of(pod)]) for pod in pods if uid_of(pod) in changes)
        )
        return len(leases)

    async def _set_cost(self, pod: Mapping[str, Any], cost: str | None) -> None:
        try:
            await self._kube.annotate_pod(pod, {DELETION_COST: cost})
        except KubeNotFound:
            log.debug("pod %s went meanwhile", pod["metadata"]["name"])
