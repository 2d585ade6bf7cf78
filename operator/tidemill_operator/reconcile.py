"""The level-based loop: on every turn, all of what is wanted is compared with all of what is.

Turns come every tick, and at once when kopf sees a change or a worker queue that was empty gets a
task. A turn is one full picture: the view of the cluster, one statement for all queues, then every
TaskQueue by itself, a few at a time. Nothing that happens to one of them keeps another waiting.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

from tidemill.errors import StaleTerm, TidemillError
from tidemill.metrics import Counter, Histogram
from tidemill.service import Loop
from tidemill.settings import Settings
from tidemill.store import Store
from tidemill_operator.assignment import Assignment, assign
from tidemill_operator.connections import Connections
from tidemill_operator.departures import Departures
from tidemill_operator.kube import Kube
from tidemill_operator.kube_errors import KubeConflict, KubeError, KubeUnavailable
from tidemill_operator.leading import Leadership, NotLeading
from tidemill_operator.member import Member
from tidemill_operator.queues import Look, Queues
from tidemill_operator.report import Reporter, forget_metrics
from tidemill_operator.resources import queue_of
from tidemill_operator.retiring import Retiring
from tidemill_operator.sizing import Sizing
from tidemill_operator.standby import Standby
from tidemill_operator.targets import OwnedTarget, ReferencedTarget, Target
from tidemill_operator.troubles import Troubles
from tidemill_operator.view import View, key_of, uid_of

log = logging.getLogger(__name__)

LIST_SECONDS = 60.0
"""Time between full lists: a watch that had to start anew may have lost a deletion."""

LEAST_PAUSE_SECONDS = 0.1
"""Least time between two turns, however much happens."""

HURRY_SECONDS = 0.4
"""Time until the next turn while workers are about to show themselves unready."""

AT_ONCE = 8

TURNS = Counter("tidemill_operator_turns_total", "Turns of the loop")
TURN_SECONDS = Histogram("tidemill_operator_turn_seconds", "How long a turn took")
ERRORS = Counter("tidemill_operator_errors_total", "Looks at a TaskQueue that failed", ["error"])


class Reconciler(Loop):
    """The operator's loop."""

    def __init__(
        self, settings: Settings, kube: Kube, store: Store, leadership: Leadership
    ) -> None:
        """Nothing runs before `start`."""
        super().__init__("reconcile", settings.operator_tick_seconds)
        self._settings = settings
        self._kube = kube
        self._leadership = leadership
        self._term = 0
        self._standby = Standby()
        self._scaling = store.scaling
        self._marks = store.marks
        self._queues = Queues(store)
        self._connections = Connections()
        self._members: dict[str, Member] = {}
        self._waiting: frozenset[str] = frozenset()
        self._namespaces = namespaces_of(settings)
        self._list_due = 0.0
        self._progress_at = time.monotonic()
        self._troubles = Troubles(log)
        self._woken: asyncio.TimerHandle | None = None
        self.view = View(self.wake)
        self._departures = Departures(kube, self.view, self._queues, self._namespaces)

    @property
    def seconds_since_progress(self) -> float:
        """Seconds since a step of a turn ended, well or not: what liveness is judged by."""
        return time.monotonic() - self._progress_at

    def wake(self) -> None:
        """Turn soon, but leave a pause: a burst of events is one turn."""
        self._wake_after(max(0.0, LEAST_PAUSE_SECONDS - self.seconds_since_progress))

    def _wake_after(self, seconds: float) -> None:
        """Turn after so long, or earlier where that was asked for."""
        loop = asyncio.get_running_loop()
        if self._woken is not None:
            if self._woken.when() <= loop.time() + seconds:
                return
            self._woken.cancel()
        self._woken = loop.call_later(seconds, self._wake_now)

    def _wake_now(self) -> None:
        self._woken = None
        super().wake()

    def hear(self, queue: str) -> None:
        """Turn soon when a queue that had nothing waiting may have something now ('' = any)."""
        if queue not in self._waiting:
            self.wake()

    async def run_once(self) -> int:
        """Make one turn."""
        try:
            with TURN_SECONDS.time():
                await self._turn()
        finally:
            TURNS.inc()
            self._progress_at = time.monotonic()
        return 0

    async def stop(self) -> None:
        """Let the turn in progress end and stop."""
        if self._woken is not None:
            self._woken.cancel()
            self._woken = None
        await super().stop()

    async def _turn(self) -> None:
        await self._list_if_due()
        if not self.view.complete:
            return
        term = self._leadership.term
        if term is None:
            self._standby.keep(self.view)
            return
        if term != self._term:
            self._begin(term)
        look = await self._queues.look(self._due())
        self._connections.seen(look.free_connections)
        if look.snapshots is not None:
            self._waiting = frozenset(each.queue for each in look.snapshots if each.queued)
        await self._bury()
        for gone in self.view.take_gone():
            self._forget(gone)
            await self._departures.leave(gone)
        # After that: one that is let go above must not be looked at below, it would own again.
        task_queues = self.view.task_queues
        assigned = assign(task_queues)
        if look.problem is None:
            await self._departures.disown(task_queues)
        limit = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(
            *(
                self._look_at(each, assigned[uid_of(each)], look, limit)
                for each in task_queues
                if uid_of(each) in assigned
            )
        )

    def _begin(self, term: int) -> None:
        """Act in a new term: what was kept of an earlier one may be long out of date."""
        self._term = term
        self._members.clear()
        self._queues.forget()
        self._list_due = 0.0  # and look for owners that are gone
        self._standby.give_back(self.view)

    def _forget(self, gone: Mapping[str, Any]) -> None:
        self._members.pop(uid_of(gone), None)
        self._connections.forget(uid_of(gone))
        forget_metrics(gone)

    def _due(self) -> dict[str, float]:
        """Return for each queue how long its workers take to start, where that was seen."""
        due = dict[str, float]()
        for each in self.view.task_queues:
            member = self._members.get(uid_of(each))
            if member is not None and member.start_seconds is not None:
                due[queue_of(each)] = member.start_seconds
        return due

    async def _list_if_due(self) -> None:
        if time.monotonic() < self._list_due:
            return
        self.view.begin_list()
        try:
            listed = [
                each
                for namespace in self._namespaces or (None,)
                for each in await self._kube.task_queues(namespace)
            ]
        except KubeError as error:
            ERRORS.labels(type(error).__name__).inc()
            self._troubles.met("list", f"TaskQueues cannot be listed: {error}")
            return
        self._troubles.over("list", "TaskQueues are listed")
        self.view.end_list(listed)
        self._list_due = time.monotonic() + LIST_SECONDS
        self._departures.sweep()

    async def _look_at(
        self,
        task_queue: Mapping[str, Any],
        assignment: Assignment,
        look: Look,
        limit: asyncio.Semaphore,
    ) -> None:
        name = "/".join(key_of(task_queue))
        async with limit:
            member, begun = self._member(task_queue), time.monotonic()
            if member.backoff.seconds > 0:
                return  # it failed lately
            try:
                await member.look(task_queue, assignment, look)
                if member.hurried:
                    self._wake_after(HURRY_SECONDS)
            except NotLeading as error:
                log.debug("%s: not looked at: %s", name, error)
            except StaleTerm as error:
                self._leadership.refused(error.term)
            except KubeConflict as error:
                log.debug("%s: looked at a stale state, looking again: %s", name, error)
                member.backoff.failed(begun)
                self._wake_after(member.backoff.seconds)
            except TidemillError as error:
                ERRORS.labels(type(error).__name__).inc()
                if not (isinstance(error, KubeUnavailable) and error.everywhere):
                    member.backoff.failed(begun)  # else the edge to Kubernetes waits for all
                self._troubles.met(name, f"{name}: {error}")
            except Exception:
                ERRORS.labels("bug").inc()
                member.backoff.failed(begun)
                log.exception("looking at %s failed", name)
            else:
                member.backoff.succeeded()
                self._troubles.over(name, f"{name}: works again")
            finally:
                self._progress_at = time.monotonic()

    def _member(self, task_queue: Mapping[str, Any]) -> Member:
        uid = uid_of(task_queue)
        if uid not in self._members:
            self._members[uid] = Member(
                queues=self._queues,
                reporter=Reporter(self._kube, self.view, self._scaling),
                sizing=Sizing(task_queue, self._settings, self._connections),
                retiring=Retiring(self._kube, self._marks, term=self._term),
                target=self._target(task_queue),
            )
        return self._members[uid]

    def _target(self, task_queue: Mapping[str, Any]) -> Target:
        if "worker" in task_queue["spec"]:
            settings = self._settings
            return OwnedTarget(self._kube, self.view, settings.worker_image, settings.app)
        return ReferencedTarget(self._kube)

    async def _bury(self) -> None:
        """Have the tasks of dead pods run again now, not when their leases expire."""
        deaths = self.view.take_deaths()
        if not deaths:
            return
        try:
            found = await self._marks.workers_of([each.pod_uid for each in deaths])
            dead = [
                worker
                for worker in found
                if any(each.took(worker.pod_uid, worker.container) for each in deaths)
            ]
            if dead:
                expired = await self._marks.bury([each.id for each in dead], term=self._term)
                pods = sorted({each.pod_uid for each in dead})
                log.info("workers died: %d tasks run again now", expired, extra={"pods": pods})
        except StaleTerm as error:
            self.view.put_back_deaths(deaths)
            self._leadership.refused(error.term)
        except TidemillError as error:
            self.view.put_back_deaths(deaths)
            log.warning("tasks of dead workers not given back yet: %s", error)


def namespaces_of(settings: Settings) -> list[str]:
    """Return the namespaces to watch; none = all."""
    names = [each.strip() for each in settings.operator_namespaces.split(",")]
    return [each for each in names if each]
