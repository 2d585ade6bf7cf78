"""What remains to be done for TaskQueues that are gone: their targets, and their queues' settings.

No finalizer keeps a TaskQueue until then: an operator that is away would keep its namespace too.
What is missed is found again by comparing the queues' owners with a full list.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tidemill.errors import TidemillError
from tidemill_operator.kube import Kube
from tidemill_operator.kube_errors import KubeError, KubeNotFound
from tidemill_operator.leading import NotLeading
from tidemill_operator.policy import Mode, Policy, mode_of
from tidemill_operator.problems import CannotAct
from tidemill_operator.queues import Queues
from tidemill_operator.targets import ReferencedTarget, replicas_of
from tidemill_operator.view import View, uid_of

log = logging.getLogger(__name__)


class Departures:
    """TaskQueues that are gone and have not been left in order yet."""

    def __init__(self, kube: Kube, view: View, queues: Queues, namespaces: Collection[str]) -> None:
        """Watch over `namespaces` (none = all)."""
        self._kube = kube
        self._view = view
        self._queues = queues
        self._namespaces = namespaces
        self._vanished: set[str] = set()
        self._sweep_due = False

    def sweep(self) -> None:
        """Look for owners that went while nobody watched, when the database can be asked."""
        self._sweep_due = True

    async def leave(self, gone: dict[str, Any]) -> None:
        """Leave a vanished TaskQueue's target as promised; tried again when it does not succeed."""
        try:
            if "scaleTargetRef" in gone["spec"]:
                await self._leave_target(gone)
        except (KubeError, NotLeading) as error:
            log.warning("leaving the target of %s: %s", gone["metadata"]["name"], error)
            self._view.put_back_gone(gone)
            return
        self._vanished.add(uid_of(gone))

    async def disown(self, present: Sequence[Mapping[str, Any]]) -> None:
        """Let go of the queue settings that vanished TaskQueues owned; `present` are the others."""
        try:
            for uid in tuple(self._vanished):
                await self._queues.disown(uid)
                self._vanished.discard(uid)
            if self._sweep_due:
                uids = {uid_of(each) for each in present}
                await self._queues.disown_absent(uids, self._namespaces)
                self._sweep_due = False
        except TidemillError as error:
            log.warning("queue settings not let go: %s", error)

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
