"""Takes workers away one level at a time: mark, wait until Kubernetes agrees, then let it choose.

Each pass looks at all pods of the target, writes the marks that are missing or no longer wanted,
gives those that are to go the lowest deletion cost, and says how few replicas may be written now
so that Kubernetes takes none but them. Nothing is kept but times: a restarted operator goes on.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tidemill.store.marks import Marks, MarkStore
from tidemill_operator.kube import Kube
from tidemill_operator.kube_errors import KubeConflict, KubeNotFound
from tidemill_operator.need import Clamp
from tidemill_operator.pods import DELETION_COST, Pod, first_to_go, pods_of
from tidemill_operator.retirement import Retirement, Rules, retire
from tidemill_operator.status import selector_text
from tidemill_operator.targets import replicas_of

log = logging.getLogger(__name__)

GOING_COST = -2147483647
"""The deletion cost of a pod that is to go: no lower one can be set but by one."""

BUSY_COSTS = 64
"""Costs above it are for busy ones that are to go, by the magnitude of what they have in hand."""

UNREADY_SECONDS = 15.0
"""How long a draining worker may take to show itself unready before its mark is taken back."""

SHY_SECONDS = 60.0
"""How long a pod is left alone whose mark was taken back."""

OBEY_SECONDS = 10.0
"""How long fewer replicas that somebody else asks for wait for idle workers to be unready."""

SETTLE_SECONDS = 0.3
"""How long what we see of a pod must be so: Kubernetes' controller may see it a moment later."""

EMPTY_SECONDS = 20.0
"""A running pod without a worker for so long is none of ours, or never gets to start one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How workers go. `patience` = seconds that busy ones get; None = until they are done.

    Without `hold` somebody else said how many there are to be: it is obeyed before long.
    """

    hold: bool = True
    patience: float | None = None


@dataclass(frozen=True, slots=True)
class Allowed:
    """The fewest replicas that may be written now, and what keeps it from being fewer."""

    replicas: int
    clamp: Clamp | None = None


_DRAINING = Clamp("draining", "idle workers leave once Kubernetes sees that they are unready")


class _Since:
    """Since when something has been so, by pod."""

    def __init__(self) -> None:
        self._at: dict[str, float] = {}

    def note(self, uids: frozenset[str]) -> None:
        """Take over for whom it is so now."""
        now = time.monotonic()
        self._at = {uid: self._at.get(uid, now) for uid in uids}

    def for_at_least(self, seconds: float) -> frozenset[str]:
        """Return for whom it has been so that long."""
        now = time.monotonic()
        return frozenset(uid for uid, at in self._at.items() if now - at >= seconds)


class Retiring:
    """Takes the workers of one target away."""

    def __init__(self, kube: Kube, marks: MarkStore, *, term: int) -> None:
        """Marks may be there from before: the first pass looks."""
        self._kube = kube
        self._marks = marks
        self._term = term
        self._ready_drained = _Since()
        self._cordoned = _Since()
        self._workerless = _Since()
        self._leaving = _Since()
        self._shy: dict[str, float] = {}
        self._unpriced = False
        self._asked_at: float | None = None
        self.marked = True
        """Whether any worker may have a mark, or a pod a cost that it should not have."""
        self.hurried = False
        """Whether the next pass should come soon: somebody is about to show itself unready."""

    async def pass_over(self, deployment: Mapping[str, Any], wanted: int, terms: Terms) -> Allowed:
        """Bring marks and costs to where `wanted` replicas want them; return what may be written.

        Raises a KubeError or what the database raises.
        """
        self.hurried = False
        present = replicas_of(deployment)
        pods = await self._look(deployment)
        if terms.hold and wanted < present and len({each.replica_set for each in pods}) > 1:
            sentence = "pods of two versions are there: nobody goes before the rollout is over"
            return Allowed(present, Clamp("rollout", sentence))
        rules = self._rules(pods, terms)
        surplus = max(0, len(pods) - wanted)
        plan = retire(pods, surplus, rules)
        pods = await self._mark(pods, plan.marks)
        pods = await self._price(pods, {each.uid for each in plan.chosen})
        self.marked = self._unpriced or any(each.marked for each in pods)
        if not terms.hold:
            return self._obey(pods, plan, present, wanted)
        count = self._count(pods, plan, rules)
        fewest = max(wanted, min(present, len(pods) - count))
        return Allowed(fewest, self._clamp(pods, plan) if fewest > wanted else None)

    def _obey(
        self, pods: Sequence[Pod], plan: Retirement[Pod], present: int, wanted: int
    ) -> Allowed:
        """Return `wanted`; before that wait for idle ones to be what Kubernetes takes first."""
        now = time.monotonic()
        chosen = {each.uid for each in plan.chosen}
        drained = [each for each in pods if each.uid in chosen and each.draining and each.probed]
        self._leaving.note(_uids(each for each in drained if not each.ready))
        settled = self._leaving.for_at_least(SETTLE_SECONDS)
        if wanted >= present or all(each.uid in settled for each in drained):
            self._asked_at = None
            return Allowed(wanted)
        self._asked_at = now if self._asked_at is None else self._asked_at
        if now - self._asked_at >= OBEY_SECONDS:
            self._asked_at = None
            return Allowed(wanted)
        self.hurried = True
        return Allowed(present, _DRAINING)

    async def _look(self, deployment: Mapping[str, Any]) -> list[Pod]:
        namespace = deployment["metadata"]["namespace"]
        bodies = await self._kube.pods(namespace, selector_text(deployment["spec"]["selector"]))
        plain = pods_of(bodies, ())
        return pods_of(bodies, await self._marks.workers_of([each.uid for each in plain]))

    def _rules(self, pods: Sequence[Pod], terms: Terms) -> Rules:
        now = time.monotonic()
        self._ready_drained.note(_uids(each for each in pods if each.draining and each.ready))
        self._cordoned.note(_uids(each for each in pods if each.cordoned and not each.draining))
        self._workerless.note(_uids(each for each in pods if not each.workers))
        slow = self._ready_drained.for_at_least(UNREADY_SECONDS) & _uids(
            each for each in pods if each.probed
        )
        for uid in slow - self._shy.keys():
            log.warning("pod %s stays ready though it is draining: its mark is taken back", uid)
            self._shy[uid] = now + SHY_SECONDS
        self._shy = {uid: until for uid, until in self._shy.items() if now < until}
        patience = terms.patience
        return Rules(
            shy=frozenset(self._shy),
            overdue=frozenset() if patience is None else self._cordoned.for_at_least(patience),
            empty=self._workerless.for_at_least(EMPTY_SECONDS),
        )

    async def _mark(self, pods: Sequence[Pod], marks: Marks) -> list[Pod]:
        """Write the marks; return the pods as they are then."""
        if not marks.workers:
            return list(pods)
        await self._marks.write(marks, term=self._term)
        known = await self._marks.workers_of([each.uid for each in pods])
        return pods_of([each.body for each in pods], known)

    async def _price(self, pods: Sequence[Pod], going: set[str]) -> list[Pod]:
        """Give those that are to go their deletion cost, and take it off the others."""

        async def priced(pod: Pod) -> Pod | None:
            wanted = _cost_for(pod) if pod.uid in going else None
            if wanted == _our_cost(pod):
                return pod
            try:
                cost = {DELETION_COST: None if wanted is None else str(wanted)}
                return replace(pod, body=await self._kube.annotate_pod(pod.body, cost))
            except KubeNotFound:
                log.debug("pod %s went meanwhile", pod.uid)
                return None
            except KubeConflict:
                self._unpriced = True  # it changed since it was read: the next pass looks again
                return pod

        self._unpriced = False
        found = await asyncio.gather(*(priced(each) for each in pods))
        return [each for each in found if each is not None]

    def _count(self, pods: Sequence[Pod], plan: Retirement[Pod], rules: Rules) -> int:
        """Return how many pods may be taken away now."""
        chosen = {each.uid for each in plan.chosen}
        leaving = [each for each in pods if each.uid in chosen and rules.may_go(each)]
        if len(leaving) == len(pods):
            return len(pods)  # all of them: Kubernetes has nothing to choose
        shown = [each for each in leaving if not (each.probed and each.ready and each.workers)]
        self._leaving.note(_uids(shown))
        settled = self._leaving.for_at_least(SETTLE_SECONDS)
        count = first_to_go(pods, [each for each in shown if each.uid in settled])
        self.hurried = count < len(leaving)
        return min(count, len(plan.chosen))

    def _clamp(self, pods: Sequence[Pod], plan: Retirement[Pod]) -> Clamp:
        busy = sum(each.leases > 0 for each in pods)
        if plan.busy:
            sentence = f"{busy} of {len(pods)} workers have tasks in hand and are kept"
            return Clamp("protectBusy", sentence)
        return _DRAINING


def _uids(pods: Any) -> frozenset[str]:
    return frozenset(each.uid for each in pods)


def _cost_for(pod: Pod) -> int:
    """Return the deletion cost of a pod that is to go: the less it has in hand, the lower."""
    if pod.draining or not pod.workers:
        return GOING_COST
    # By magnitude: a write for every task that ends would be too many.
    return GOING_COST + 1 + pod.leases.bit_length()


def _our_cost(pod: Pod) -> int | None:
    """Return the deletion cost that we gave a pod; None where it has none, or a user's."""
    return pod.cost if GOING_COST <= pod.cost <= GOING_COST + BUSY_COSTS else None
