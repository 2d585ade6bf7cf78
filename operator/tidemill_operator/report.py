"""What is told to others: the TaskQueue's status, Events, the decisions' table, metrics.

Reports never decide and never stop the loop: one that cannot be made is logged, and the next
look makes it again.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tidemill.errors import TidemillError
from tidemill.metrics import Counter, Gauge
from tidemill.store.scaling import DecisionRecord, ScalingStore
from tidemill_operator.body import part, parts
from tidemill_operator.decision import Decision
from tidemill_operator.event_limits import EventLimits
from tidemill_operator.kube import FIELD_MANAGER, Kube
from tidemill_operator.kube_errors import KubeError, KubeNotFound
from tidemill_operator.resources import API_VERSION, KIND, queue_of
from tidemill_operator.status import Outcome, is_due, status_of
from tidemill_operator.targets import ready_of
from tidemill_operator.view import View

log = logging.getLogger(__name__)

_LABELS = ["namespace", "name"]
DESIRED = Gauge("tidemill_operator_desired_replicas", "Replicas of the last decision", _LABELS)
READY = Gauge("tidemill_operator_ready_replicas", "Ready worker pods", _LABELS)
SCALINGS = Counter("tidemill_operator_scalings_total", "Changes of replicas made", _LABELS)
STATUS_WRITES = Counter("tidemill_operator_status_writes_total", "Statuses written")


@dataclass(frozen=True, slots=True)
class Scaling:
    """A change of replicas that was carried out."""

    before: int
    after: int


class Reporter:
    """Reports on one TaskQueue."""

    def __init__(self, kube: Kube, view: View, scaling: ScalingStore) -> None:
        """Nothing is reported yet."""
        self._kube = kube
        self._view = view
        self._scaling = scaling
        self._written_at = float("-inf")
        self._recorded: tuple[Any, ...] | None = None
        self._troubles = frozenset[str]()
        self._limits = EventLimits()

    async def report(
        self, task_queue: Mapping[str, Any], outcome: Outcome, now: float, scaling: Scaling | None
    ) -> None:
        """Tell what became of one look at `task_queue`."""
        self._measure(task_queue, outcome, scaling)
        await self._tell_events(task_queue, outcome, scaling)
        if outcome.decision is not None and outcome.database is None:
            await self._record(task_queue, outcome.decision)
        await self._write_status(task_queue, outcome, now)

    async def _write_status(
        self, task_queue: Mapping[str, Any], outcome: Outcome, now: float
    ) -> None:
        status = status_of(task_queue, outcome, now)
        if not is_due(part(task_queue, "status"), status, time.monotonic() - self._written_at):
            return
        try:
            written = await self._kube.write_status(task_queue, status)
        except KubeNotFound:
            return  # it went; the watch or the next full list tells
        self._written_at = time.monotonic()
        STATUS_WRITES.inc()
        self._view.see_written(written)

    async def _record(self, task_queue: Mapping[str, Any], decision: Decision) -> None:
        if self._recorded is None:
            self._recorded = _told_before(task_queue)
        if decision.fingerprint == self._recorded:
            return
        meta = task_queue["metadata"]
        record = DecisionRecord(
            target=f"{meta['namespace']}/{meta['name']}",
            queue=queue_of(task_queue),
            replicas=int(decision.inputs.get("replicas", decision.replicas)),
            desired=decision.replicas,
            reason=decision.reason,
            inputs=decision.inputs,
            clamps=[str(each) for each in decision.clamps],
        )
        try:
            await self._scaling.record(record)
        except TidemillError as error:
            log.warning("decision for %s not recorded: %s", record.target, error)
            return
        self._recorded = decision.fingerprint

    async def _tell_events(
        self, task_queue: Mapping[str, Any], outcome: Outcome, scaling: Scaling | None
    ) -> None:
        if scaling is not None and outcome.decision is not None:
            message = f"{scaling.before} -> {scaling.after} replicas: {outcome.decision.reason}"
            log.info("%s: %s", _name(task_queue), message)
            await self._post(task_queue, "Normal", "Scaled", message)
        troubles = _troubles(outcome)
        for reason, text in troubles.items():
            if reason not in self._troubles:
                log.warning("%s: %s: %s", _name(task_queue), reason, text)
                await self._post(task_queue, "Warning", reason, text)
        for reason in self._troubles - troubles.keys():
            log.info("%s: %s is over", _name(task_queue), reason)
        self._troubles = frozenset(troubles)

    async def _post(
        self, task_queue: Mapping[str, Any], kind: str, reason: str, message: str
    ) -> None:
        told = self._limits.admit(reason, message)
        if told is None:
            return
        try:
            await self._kube.post_event(
                task_queue["metadata"]["namespace"],
                event_of(task_queue, kind=kind, reason=reason, message=told),
            )
        except KubeError as error:
            log.warning("event %s for %s not posted: %s", reason, _name(task_queue), error)

    def _measure(
        self, task_queue: Mapping[str, Any], outcome: Outcome, scaling: Scaling | None
    ) -> None:
        labels = task_queue["metadata"]["namespace"], task_queue["metadata"]["name"]
        if outcome.decision is not None:
            DESIRED.labels(*labels).set(outcome.decision.replicas)
        if outcome.deployment is not None:
            READY.labels(*labels).set(ready_of(outcome.deployment))
        if scaling is not None:
            SCALINGS.labels(*labels).inc()


def _troubles(outcome: Outcome) -> dict[str, str]:
    """Return what a person should know of, message by reason."""
    found = dict[str, str]()
    if (trouble := outcome.problem or outcome.database) is not None:
        found[trouble.reason] = trouble.message
    if outcome.conflict is not None:
        found["ScalerConflict"] = outcome.conflict
    return found


def _told_before(task_queue: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the fingerprint of the decision in the status: a restart is no new decision."""
    last = part(task_queue, "status", "lastDecision")
    names = (str(each).partition(":")[0] for each in parts(last, "clamps"))
    return last.get("replicas"), last.get("rule"), tuple(names)


def forget_metrics(task_queue: Mapping[str, Any]) -> None:
    """Drop the figures of a TaskQueue that is gone."""
    labels = task_queue["metadata"]["namespace"], task_queue["metadata"]["name"]
    for metric in (DESIRED, READY, SCALINGS):
        metric.remove_by_labels({"namespace": labels[0], "name": labels[1]})


def event_of(
    task_queue: Mapping[str, Any], *, kind: str, reason: str, message: str
) -> dict[str, Any]:
    """Return a core/v1 Event about a TaskQueue; `kind` is Normal or Warning."""
    meta = task_queue["metadata"]
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{meta['name']}.", "namespace": meta["namespace"]},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "name": meta["name"],
            "namespace": meta["namespace"],
            "uid": meta["uid"],
        },
        "type": kind,
        "reason": reason,
        "message": message[:1024],
        "source": {"component": FIELD_MANAGER},
        "reportingComponent": FIELD_MANAGER,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }


def _name(task_queue: Mapping[str, Any]) -> str:
    return f"{task_queue['metadata']['namespace']}/{task_queue['metadata']['name']}"
