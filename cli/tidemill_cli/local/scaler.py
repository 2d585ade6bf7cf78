"""`tidemill up` scales its workers by the operator's own decision function.

A look every 2 s, and at once when a queue that was empty gets a task. Nobody who runs a task is
told to go: idle workers are marked as draining first, so that no claim slips past, and busy surplus
ones claim nothing more until they are done.
"""

import os
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from tidemill.errors import TidemillError
from tidemill.models import QueueSnapshot
from tidemill.service import Loop
from tidemill.settings import Settings
from tidemill.store import Store
from tidemill.store.listing import ListedWorker
from tidemill.store.scaling import DecisionRecord
from tidemill_cli.local.crew import GONE_SECONDS, Crew, Member
from tidemill_operator.connections import Connections, connections_per_replica
from tidemill_operator.course import Course
from tidemill_operator.decision import Decision, Observation
from tidemill_operator.memory import Memory
from tidemill_operator.need import Clamp
from tidemill_operator.policy import COUNT_CAP, DUE_SECONDS, EVERY_QUEUE, Policy, StepLimits
from tidemill_operator.readings import together
from tidemill_operator.retirement import Rules, retire
from tidemill_worker.queues import parse_queues

TICK_SECONDS = 2.0
FEWEST = 1
"""One worker stays: an interpreter's start would be in the way of the first task."""

DOWN_WINDOW_SECONDS = 30.0
"""How long a need must be lower: half of a cluster's default, for a process starts sooner."""

PAGE = 1000
_US = "up"  # in the account of connections, which knows nobody else here


def most_workers(settings: Settings) -> int:
    """Return how many workers there may be: as set, else one a CPU, from 2 to 8."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return settings.workers or settings.max_workers or min(8, max(2, cpus or 1))


class Scaler(Loop):
    """Brings the crew to the size that the queues call for."""

    def __init__(
        self, settings: Settings, store: Store, crew: Crew, say: Callable[[str], None]
    ) -> None:
        """Begin with what is there. `say` tells a person."""
        super().__init__("scaler", TICK_SECONDS)
        self._settings = settings
        self._store = store
        self._crew = crew
        self._say = say
        self._hostname = socket.gethostname()
        self._queues = frozenset(parse_queues(settings.queues) or ())
        self._policy = _policy(settings)
        self._course = Course(Memory())
        self._connections = Connections()
        self._waiting = frozenset[str]()
        self._recorded: tuple[object, ...] | None = None
        self._blind = False

    def hear(self, queue: str) -> None:
        """Look soon when a queue that had nothing waiting may have something now ('' = any)."""
        if queue not in self._waiting:
            self.wake()

    async def run_once(self) -> int:
        """Look once, and do what is to be done."""
        try:
            await self._look()
        except TidemillError as error:
            if not self._blind:
                self._say(f"the queues cannot be read, workers stay as they are: {error}")
            self._blind = True
        else:
            self._blind = False
        return 0

    async def _look(self) -> None:
        due_seconds = self._course.start_seconds or DUE_SECONDS
        snapshots = await self._store.scaling.snapshots(cap=COUNT_CAP, due_seconds=due_seconds)
        self._waiting = frozenset(each.queue for each in snapshots if each.queued)
        self._connections.seen(await self._store.scaling.free_connections())
        listed = await self._listed()
        others = sum(map(self._serves, self._crew.see(listed, self._hostname)))
        await self._scale(self._observation(snapshots, others), others)

    async def _listed(self) -> list[ListedWorker]:
        """Return all workers that have not left: those that died may be many."""
        found = await self._store.listing.workers(limit=PAGE)
        while len(found) % PAGE == 0 and found:
            more = await self._store.listing.workers(after=found[-1].id, limit=PAGE)
            if not more:
                break
            found += more
        return found

    def _observation(self, snapshots: Iterable[QueueSnapshot], others: int) -> Observation:
        served = [each for each in snapshots if not self._queues or each.queue in self._queues]
        members = self._crew.members
        ready = sum(bool(each.workers) for each in members)
        starting = (len(members) - ready) * self._policy.connections_per_replica
        return Observation(
            now=round(time.time(), 3),
            replicas=len(members) + others,
            ready=ready + others,
            reading=together(served),
            free_connections=self._connections.left_for(_US, starting),
        )

    async def _scale(self, seen: Observation, others: int) -> None:
        """Decide for all workers that serve the queues, and change our own."""
        policy = replace(
            self._policy,
            min_replicas=self._policy.min_replicas + others,
            max_replicas=self._policy.max_replicas + others,
        )
        decision = self._course.decide(seen, policy)
        surplus = max(0, seen.replicas - decision.replicas)
        going = await self._pass_over(surplus)
        if surplus:
            fewest = seen.replicas - len(going)
            decision = self._course.hold(decision, fewest, self._clamp(seen))
        self._crew.release(going)
        self._crew.add(max(0, decision.replicas - seen.replicas))
        self._course.carried_out(decision, before=seen.replicas, now=seen.now)
        self._course.saw(ready=seen.ready, replicas=seen.replicas, now=seen.now)
        await self._tell(decision, seen.replicas, others)

    async def _pass_over(self, surplus: int) -> list[Member]:
        """Bring the marks to where they belong; return who is idle and claims nothing more."""
        members = self._crew.members
        if not surplus and not any(each.marked for each in members):
            return []
        plan = retire(members, surplus, Rules())
        drained = await self._store.marks.write(plan.marks, term=0)
        return [
            each
            for each in plan.chosen
            if all(worker.draining or worker.id in drained for worker in each.workers)
        ]

    def _clamp(self, seen: Observation) -> Clamp:
        busy = sum(each.leases > 0 for each in self._crew.members)
        if not busy:
            return Clamp("draining", "workers that are starting or just took a task are kept")
        sentence = f"{busy} of {seen.replicas} workers have tasks in hand and are kept"
        return Clamp("protectBusy", sentence)

    async def _tell(self, decision: Decision, before: int, others: int) -> None:
        if decision.replicas != before:
            elsewhere = f" ({others} of them elsewhere)" if others else ""
            self._say(f"workers {before} -> {decision.replicas}{elsewhere}: {decision.reason}")
        if decision.fingerprint == self._recorded:
            return
        try:
            await self._record(decision, before)
        except TidemillError as error:
            self._say(f"the decision could not be kept for `tidemill explain`: {error}")
            return
        self._recorded = decision.fingerprint

    async def _record(self, decision: Decision, before: int) -> None:
        for queue in sorted(self._queues) or [EVERY_QUEUE]:
            await self._store.scaling.record(
                DecisionRecord(
                    target=f"up/{self._hostname}",
                    queue=queue,
                    replicas=before,
                    desired=decision.replicas,
                    reason=decision.reason,
                    inputs=decision.inputs,
                    clamps=[str(each) for each in decision.clamps],
                )
            )

    def _serves(self, other: ListedWorker) -> bool:
        """Return whether this worker takes tasks that ours would take too."""
        if other.draining or other.cordoned or other.seen_seconds > GONE_SECONDS:
            return False
        theirs = frozenset(other.queues)
        return not self._queues or EVERY_QUEUE in theirs or bool(theirs & self._queues)


def _policy(settings: Settings) -> Policy:
    return Policy(
        min_replicas=FEWEST,
        max_replicas=most_workers(settings),
        slots=settings.concurrency,
        down=StepLimits(window_seconds=DOWN_WINDOW_SECONDS),
        connections_per_replica=connections_per_replica({}, settings),
    )
