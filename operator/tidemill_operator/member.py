"""One TaskQueue, one look: find its Deployment, decide, act, report.

A member lives as long as its TaskQueue. What it keeps between looks is the decision's memory and
what was written last; both can be lost at any time.
"""

import logging
from collections.abc import Mapping
from typing import Any

from tidemill.errors import TidemillError
from tidemill_operator import problems
from tidemill_operator.assignment import Assignment, reading_for
from tidemill_operator.body import part
from tidemill_operator.decision import Decision, Observation, Reading, decide
from tidemill_operator.kube_errors import KubeConflict, KubeForbidden, KubeInvalid
from tidemill_operator.memory import Memory
from tidemill_operator.policy import Mode, Policy, mode_of
from tidemill_operator.problems import CannotAct, Problem
from tidemill_operator.queues import Look, Queues
from tidemill_operator.report import Reporter, Scaling
from tidemill_operator.sparing import Sparing, spare_busy
from tidemill_operator.status import Outcome
from tidemill_operator.targets import Target, ready_of, replicas_of

log = logging.getLogger(__name__)

Json = dict[str, Any]


class Member:
    """The operator's part for one TaskQueue."""

    def __init__(
        self,
        task_queue: Mapping[str, Any],
        *,
        queues: Queues,
        reporter: Reporter,
        sparing: Sparing,
        target: Target,
    ) -> None:
        """Take up the memory that the TaskQueue's status holds."""
        self._queues = queues
        self._reporter = reporter
        self._sparing = sparing
        self._target = target
        self._memory = Memory.from_status(part(task_queue, "status", "scaling"))
        self._scaling: Scaling | None = None

    async def look(self, task_queue: Mapping[str, Any], assignment: Assignment, look: Look) -> None:
        """Bring the TaskQueue's workers to where they should be, and say so.

        Raises a KubeError when the API server did not let us; the next look tries again.
        """
        self._target.update(task_queue)
        self._scaling = None
        outcome = await self._outcome(task_queue, assignment, look)
        await self._reporter.report(task_queue, outcome, look.now, self._scaling)

    async def _outcome(
        self, task_queue: Mapping[str, Any], assignment: Assignment, look: Look
    ) -> Outcome:
        reading = None if look.snapshots is None else reading_for(assignment, look.snapshots)
        mode = mode_of(task_queue["spec"])
        deployment, decision, problem = None, None, assignment.problem
        if problem is None:
            try:
                await self._configure(task_queue, look)
                deployment, decision = await self._act(task_queue, mode, reading, look.now)
            except CannotAct as error:
                problem = error.problem
            except KubeForbidden as error:
                problem = Problem(problems.FORBIDDEN, str(error))
            except KubeInvalid as error:
                problem = Problem(problems.REFUSED, str(error))
        return Outcome(
            mode=mode,
            reading=reading,
            deployment=deployment,
            decision=decision,
            problem=problem,
            database=look.problem,
        )

    async def _configure(self, task_queue: Mapping[str, Any], look: Look) -> None:
        if look.problem is not None:
            return
        try:
            await self._queues.configure(task_queue)
        except CannotAct:
            raise
        except TidemillError as error:
            # The database went away between look and write: the next look says so, and retries.
            log.warning("queue settings not written: %s", error)

    async def _act(
        self, task_queue: Mapping[str, Any], mode: Mode, reading: Reading | None, now: float
    ) -> tuple[Json, Decision]:
        try:
            return await self._attempt(task_queue, mode, reading, now, fresh=False)
        except KubeConflict:
            # What was seen is no longer so: read it again and decide again, once.
            return await self._attempt(task_queue, mode, reading, now, fresh=True)

    async def _attempt(
        self,
        task_queue: Mapping[str, Any],
        mode: Mode,
        reading: Reading | None,
        now: float,
        *,
        fresh: bool,
    ) -> tuple[Json, Decision]:
        found = await self._target.find(fresh=fresh)
        decision = self._decide(task_queue["spec"], mode, found, reading, now)
        wanted = None if mode is Mode.OFF else decision.replicas
        deployment = await self._target.ensure(found, wanted)
        before = replicas_of(deployment)
        if found is None and before > 0:
            self._scaling = Scaling(0, before)
        if mode is not Mode.OFF and 0 < decision.replicas < before:
            decision = await self._spare(task_queue, mode, deployment, decision)
        if mode is not Mode.OFF and decision.replicas != before:
            deployment = await self._target.scale(deployment, decision.replicas)
            self._scaling = Scaling(before, decision.replicas)
        self._memory = decision.memory
        return deployment, decision

    async def _spare(
        self,
        task_queue: Mapping[str, Any],
        mode: Mode,
        deployment: Mapping[str, Any],
        decision: Decision,
    ) -> Decision:
        """Have the idle pods go first; where we decide, let no busy one go (protectBusy)."""
        protects = part(task_queue, "spec", "scaling").get("protectBusy", True)
        if mode is Mode.OPERATOR and protects:
            busy = await self._sparing.mark_busy(deployment)
            return spare_busy(decision, replicas_of(deployment), busy, self._memory)
        try:
            await self._sparing.mark_busy(deployment)
        except TidemillError as error:
            log.warning("busy pods not marked, any may go: %s", error)
        return decision

    def _decide(
        self,
        spec: Mapping[str, Any],
        mode: Mode,
        found: Mapping[str, Any] | None,
        reading: Reading | None,
        now: float,
    ) -> Decision:
        policy = Policy.of(spec)
        # A Deployment that is still to be made starts from the fewest replicas.
        present = policy.min_replicas if found is None else replicas_of(found)
        if mode is Mode.OFF:
            reason = "spec.scaling.mode is Off: replicas are left alone"
            return Decision(replicas=present, reason=reason, memory=self._memory)
        if mode is Mode.EXTERNAL:
            asked = spec.get("replicas", 1)
            reason = f"spec.replicas asks for {asked}"
            return Decision(replicas=asked, reason=reason, memory=self._memory)
        ready = 0 if found is None else ready_of(found)
        observation = Observation(now=now, replicas=present, ready=ready, reading=reading)
        return decide(observation, policy, self._memory)
