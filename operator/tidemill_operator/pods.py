"""The pods of a target as values, and the order in which Kubernetes takes surplus ones. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from tidemill.store.marks import PodWorker
from tidemill_operator.body import part, parts
from tidemill_operator.deaths import ENDED
from tidemill_operator.view import uid_of

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
READY_PATH = "/readyz"
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod that is not being deleted, with its worker processes as the database knows them."""

    body: Mapping[str, Any]
    workers: tuple[PodWorker, ...] = ()

    @property
    def uid(self) -> str:
        """Its uid."""
        return uid_of(self.body)

    @property
    def phase(self) -> str:
        """Pending, Running or Unknown."""
        return str(part(self.body, "status").get("phase", "Pending"))

    @property
    def pending(self) -> bool:
        """Whether no container of it runs yet."""
        return self.phase == "Pending"

    @property
    def ready(self) -> bool:
        """Whether its condition Ready holds."""
        return any(
            each["type"] == "Ready" and each["status"] == "True"
            for each in parts(self.body, "status", "conditions")
        )

    @property
    def cost(self) -> int:
        """Its deletion cost; one that is no number counts as Kubernetes counts it, as none."""
        text = str(part(self.body, "metadata", "annotations").get(DELETION_COST, "0"))
        try:
            return int(text)
        except ValueError:
            return 0

    @property
    def probed(self) -> bool:
        """Whether a draining worker in it shows itself unready: it has our readiness probe."""
        paths = (
            part(each, "readinessProbe", "httpGet").get("path")
            for each in parts(self.body, "spec", "containers")
        )
        return READY_PATH in paths

    @property
    def replica_set(self) -> str:
        """The uid of its controller; '' without one."""
        owners = parts(self.body, "metadata", "ownerReferences")
        return next((str(each["uid"]) for each in owners if each.get("controller")), "")

    @property
    def leases(self) -> int:
        """How many tasks its workers have in hand."""
        return sum(each.leases for each in self.workers)

    @property
    def draining(self) -> bool:
        """Whether all of its workers are marked as draining."""
        return bool(self.workers) and all(each.draining for each in self.workers)

    @property
    def cordoned(self) -> bool:
        """Whether all of its workers claim nothing more."""
        return bool(self.workers) and all(each.cordoned or each.draining for each in self.workers)

    @property
    def marked(self) -> bool:
        """Whether any of its workers has a mark."""
        return any(each.cordoned or each.draining for each in self.workers)

    @property
    def age(self) -> str:
        """When it was created; later is greater."""
        return str(part(self.body, "metadata").get("creationTimestamp", ""))

    @property
    def order(self) -> tuple[bool, int, bool, int]:
        """What Kubernetes takes surplus pods away by, the least first; beyond it, ties are its own.

        Without a node, pending, not ready, of low deletion cost.
        """
        assigned = bool(part(self.body, "spec").get("nodeName"))
        return assigned, _PHASES.get(self.phase, 2), self.ready, self.cost


def pods_of(bodies: Iterable[Mapping[str, Any]], workers: Iterable[PodWorker]) -> list[Pod]:
    """Return the pods that a ReplicaSet counts, each with its workers."""
    known = list(workers)
    return [
        Pod(body, tuple(each for each in known if each.pod_uid == uid_of(body)))
        for body in bodies
        if "deletionTimestamp" not in body["metadata"]
        and part(body, "status").get("phase") not in ENDED
    ]


def first_to_go(pods: Sequence[Pod], may_go: Iterable[Pod]) -> int:
    """Return how many pods can be taken away so that Kubernetes takes none but `may_go`."""
    going = {each.uid for each in may_go}
    count = 0
    for _, tied in groupby(sorted(pods, key=lambda each: each.order), lambda each: each.order):
        alike = list(tied)
        if any(each.uid not in going for each in alike):
            break
        count += len(alike)
    return count
