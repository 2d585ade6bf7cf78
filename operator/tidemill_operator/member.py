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
from tidemill_operator.decision import Decision
from tidemill_operator.kube_errors import KubeConflict, KubeForbidden, KubeInvalid
from tidemill_operator.need import Reading
from tidemill_operator.pacing import Backoff
from tidemill_operator.policy import Mode, mode_of
from tidemill_operator.problems import CannotAct, Problem
from tidemill_operator.queues import Look, Queues
from tidemill_operator.report import Reporter, Scaling
from tidemill_operator.resources import drain_seconds
from tidemill_operator.retiring import Retiring, Terms
from tidemill_operator.rivals import Rivals
from tidemill_operator.sizing import Situation, Sizing
from tidemill_operator.status import Outcome
from tidemill_operator.targets import Target, replicas_of

log = logging.getLogger(__name__)

Json = dict[str, Any]


class Member:
    """The operator's part for one TaskQueue."""

    def __init__(
        self,
        *,
        queues: Queues,
        reporter: Reporter,
        sizing: Sizing,
        retiring: Retiring,
        target: Target,
    ) -> None:
        """Take the parts."""
        self._queues = queues
        self._reporter = reporter
        self._sizing = sizing
        self.backoff = Backoff()
        """When to look again after a look that failed."""
        self._retiring = retiring
        self._target = target
        self._rivals = Rivals()
        self._scaling: Scaling | None = None

    @property
    def start_seconds(self) -> float | None:
        """How long a new worker took to become ready lately; None when that was never seen."""
        return self._sizing.course.start_seconds

    @property
    def hurried(self) -> bool:
        """Whether the next look should come soon: workers are on their way out."""
        return self._retiring.hurried

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
        deployment, decision, problem = None, None, assignment.problem
        if problem is None:
            try:
                await self._configure(task_queue, look)
                deployment, decision = await self._act(task_queue, reading, look.now)
            except CannotAct as error:
                problem = error.problem
            except KubeForbidden as error:
                problem = Problem(problems.FORBIDDEN, str(error))
            except KubeInvalid as error:
                problem = Problem(problems.REFUSED, str(error))
        return Outcome(
            mode=mode_of(task_queue["spec"]),
            reading=reading,
            deployment=deployment,
            decision=decision,
            problem=problem,
            database=look.problem,
            conflict=self._rivals.message(look.now),
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
        self, task_queue: Mapping[str, Any], reading: Reading | None, now: float
    ) -> tuple[Json, Decision]:
        try:
            return await self._attempt(task_queue, reading, now, fresh=False)
        except KubeConflict:
            # What was seen is no longer so: read it again and decide again, once.
            return await self._attempt(task_queue, reading, now, fresh=True)

    async def _attempt(
        self, task_queue: Mapping[str, Any], reading: Reading | None, now: float, *, fresh: bool
    ) -> tuple[Json, Decision]:
        calm = reading is not None and reading.queued + reading.running + reading.due_soon == 0
        found = await self._target.find(fresh=fresh, calm=calm and not self._retiring.marked)
        at = Situation(task_queue=task_queue, found=found, reading=reading, now=now)
        if found is not None and at.mode is not Mode.OFF:
            self._rivals.saw(found, now)
        decision = self._sizing.decide(at)
        deployment = await self._target.ensure(
            found, None if at.mode is Mode.OFF else decision.replicas
        )
        before = replicas_of(deployment)
        if found is None and before > 0:
            self._scaling = Scaling(0, before)
        lowering = decision.replicas < before or self._retiring.marked
        if lowering and at.mode is not Mode.OFF and reading is not None:
            decision = await self._retire(at, deployment, decision)
        if at.mode is not Mode.OFF and decision.replicas != before:
            deployment = await self._target.scale(deployment, decision.replicas)
            self._scaling = Scaling(before, decision.replicas)
            self._rivals.wrote(decision.replicas)
        started_from = 0 if found is None else before
        self._sizing.course.carried_out(decision, before=started_from, now=now)
        self._sizing.saw(deployment, now)
        return deployment, decision

    async def _retire(
        self, at: Situation, deployment: Mapping[str, Any], decision: Decision
    ) -> Decision:
        """Have idle workers go first; where we decide, let no busy one go (protectBusy)."""
        spec = at.task_queue["spec"]
        protects = part(spec, "scaling").get("protectBusy", True)
        drain = float(drain_seconds(part(spec, "worker")))
        terms = Terms(hold=at.mode is Mode.OPERATOR, patience=None if protects else drain)
        allowed = await self._retiring.pass_over(deployment, decision.replicas, terms)
        return self._sizing.course.hold(decision, allowed.replicas, allowed.clamp)
