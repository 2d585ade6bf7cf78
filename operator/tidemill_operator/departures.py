"""What remains to be done for TaskQueues that are gone: their targets, and their queues' settings.

No finalizer keeps a TaskQueue until then: an operator that is away would keep its namespace too.
What is missed is found again by comparing the queues' owners with a full list.

With deletionPolicy Purge a queue's tasks go too, but not before its owner has been absent for a
minute: a TaskQueue that is made anew, or a CRD, takes over what is there. Here it is only said
that a queue is to be purged; maintenance in the API and worker processes deletes its tasks.
"""

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tidemill.errors import TidemillError
from tidemill.store.queues import QueueInfo
from tidemill_operator.kube import Kube
from tidemill_operator.kube_errors import KubeError, KubeNotFound
from tidemill_operator.leading import NotLeading
from tidemill_operator.policy import Mode, Policy, mode_of
from tidemill_operator.problems import CannotAct
from tidemill_operator.queues import Queues
from tidemill_operator.resources import queue_of
from tidemill_operator.targets import ReferencedTarget, replicas_of
from tidemill_operator.view import View, uid_of

log = logging.getLogger(__name__)

PURGE = "Purge"
ABSENT_SECONDS = 60.0
"""How long an owner must have been absent from full lists before its queue is purged."""


class Departures:
    """TaskQueues that are gone and have not been left in order yet."""

    def __init__(self, kube: Kube, view: View, queues: Queues, namespaces: Collection[str]) -> None:
        """Watch over `namespaces` (none = all)."""
        self._kube = kube
        self._view = view
        self._queues = queues
        self._namespaces = namespaces
        self._vanished = dict[str, Mapping[str, Any]]()
        self._absent = dict[str, float]()
        self._sweep_due = False
        self._listed_at = 0.0

    def sweep(self) -> None:
        """Look for owners that went while nobody watched: all TaskQueues have just been listed."""
        self._sweep_due = True
        self._listed_at = time.monotonic()

    async def leave(self, gone: dict[str, Any]) -> None:
        """Leave a vanished TaskQueue's target as promised; tried again when it does not succeed."""
        try:
            if "scaleTargetRef" in gone["spec"]:
                await self._leave_target(gone)
        except (KubeError, NotLeading) as error:
            log.warning("leaving the target of %s: %s", gone["metadata"]["name"], error)
            self._view.put_back_gone(gone)
            return
        self._queues.leave(uid_of(gone))
        self._vanished[uid_of(gone)] = gone

    async def disown(self, present: Sequence[Mapping[str, Any]]) -> None:
        """Let go of the queues that vanished TaskQueues owned; `present` are the others."""
        try:
            await self._disown_vanished({queue_of(each) for each in present})
            if self._sweep_due:
                await self._sweep(present)
                self._sweep_due = False
        except TidemillError as error:
            log.warning("queue settings not let go: %s", error)

    async def _disown_vanished(self, named: Collection[str]) -> None:
        for uid, gone in tuple(self._vanished.items()):
            if gone["spec"].get("deletionPolicy") == PURGE and queue_of(gone) not in named:
                continue  # until a full list has shown for a minute that nobody takes it over
            await self._queues.disown(uid)
            del self._vanished[uid]

    async def _sweep(self, present: Sequence[Mapping[str, Any]]) -> None:
        uids = {uid_of(each) for each in present}
        named = {queue_of(each) for each in present}
        absent = {
            each.owner_uid: each
            for each in await self._queues.owned()
            if each.owner_uid and each.owner_uid not in uids and self._is_watched(each)
        }
        # From full list to full list: a watch may have missed one that was made anew.
        self._absent = {uid: self._absent.get(uid, self._listed_at) for uid in absent}
        for uid, each in absent.items():
            if each.owner_policy != PURGE or each.name in named:
                log.info("TaskQueue %s is gone: queue %s is let go", each.owner_name, each.name)
                await self._queues.disown(uid)
                continue
            lists_apart = self._listed_at - self._absent[uid]
            if lists_apart >= ABSENT_SECONDS and await self._queues.purge(uid):
                log.info("TaskQueue %s is gone: queue %s is purged", each.owner_name, each.name)
                self._vanished.pop(uid, None)

    def _is_watched(self, queue: QueueInfo) -> bool:
        namespace = (queue.owner_name or "").partition("/")[0]
        return not self._namespaces or namespace in self._namespaces

    async def _leave_target(self, gone: Mapping[str, Any]) -> None:
        if mode_of(gone["spec"]) is not Mode.OPERATOR or self._is_still_served(gone):
            return
        target = ReferencedTarget(self._kube)
        target.update(gone)
        left = max(Policy.of(gone["spec"]).min_replicas, 1)
        try:
            deployment = await target.find()
            if replicas_of(deployment) != left:
                await target.scale(deployment, left)
        except (CannotAct, KubeNotFound):
            return  # the target went too

    def _is_still_served(self, gone: Mapping[str, Any]) -> bool:
        where = gone["metadata"]["namespace"], gone["spec"]["scaleTargetRef"]["name"]
        return any(
            where == (each["metadata"]["namespace"], each["spec"]["scaleTargetRef"]["name"])
            for each in self._view.task_queues
            if "scaleTargetRef" in each["spec"]
        )
