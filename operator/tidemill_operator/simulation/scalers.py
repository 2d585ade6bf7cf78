"""Who sets the replicas: the operator, by its own decision and its own choice of who goes."""

import random
from typing import Protocol

from tidemill_operator.course import Course
from tidemill_operator.decision import Observation
from tidemill_operator.memory import Memory
from tidemill_operator.need import Clamp
from tidemill_operator.policy import Policy
from tidemill_operator.retirement import Rules, retire
from tidemill_operator.simulation.model import Model
from tidemill_operator.simulation.workers import Worker

TICK_SECONDS = 2.0
WAKE_SECONDS = 0.1
"""From a task in a queue that was empty to the decision."""

UNREADY_SECONDS = 1.0
"""From the mark to Kubernetes seeing the worker as unready: only then it is taken away."""


class Scaler(Protocol):
    """Sets the replicas of a model."""

    @property
    def due(self) -> float:
        """When it wants to look next, in seconds since the start."""
        ...

    def wake(self, now: float) -> None:
        """Hear that a queue that was empty got a task."""

    def look(self, model: Model) -> str:
        """Look at the model and scale it; return why, '' where nothing is to be said."""
        ...


class Tidemill:
    """The operator: a look every tick and at each wake-up, idle workers first."""

    def __init__(self, policy: Policy, *, seed: int = 1) -> None:
        """Decide by `policy`, for the first time at some moment of the first tick."""
        self.due = random.Random(f"tidemill {seed}").uniform(0, TICK_SECONDS)
        self._policy = policy
        self._course = Course(Memory())
        self._settling = dict[Worker, float]()
        self._cordoned = dict[Worker, float]()

    def wake(self, now: float) -> None:
        """Look at once."""
        self.due = min(self.due, now + WAKE_SECONDS)

    def look(self, model: Model) -> str:
        """Decide and carry it out, as the operator's loop does."""
        now, present = model.now, model.replicas
        self.due = now + TICK_SECONDS
        look = Observation(now=now, replicas=present, ready=model.ready, reading=model.reading())
        decision = self._course.decide(look, self._policy)
        surplus = max(0, present - decision.replicas)
        going = self._pass_over(model, surplus)
        if surplus:
            decision = self._course.hold(decision, present - len(going), self._clamp(model))
        forced = [each for each in going if each.runs]
        model.remove(forced, patience=0.0)  # they have had their time
        model.remove([each for each in going if not each.runs])
        model.add(max(0, decision.replicas - present))
        self._course.carried_out(decision, before=present, now=now)
        self._course.saw(ready=model.ready, replicas=model.replicas, now=now)
        return decision.reason

    def _pass_over(self, model: Model, surplus: int) -> list[Worker]:
        """Bring the marks to where they belong; return who may be taken away by now."""
        if not surplus and not any(each.marked for each in model.workers):
            return []
        rules = Rules(overdue=self._overdue(model))
        plan = retire(model.workers, surplus, rules)
        by_number = {each.number: each for each in model.workers}
        for number in plan.marks.unmark:
            by_number[number].draining = by_number[number].cordoned = False
        for number in (*plan.marks.drain, *plan.marks.force):
            by_number[number].draining = True
        for number in plan.marks.cordon:
            by_number[number].cordoned = True
        return self._settled(model.now, [each for each in plan.chosen if rules.may_go(each)])

    def _overdue(self, model: Model) -> frozenset[str]:
        """Return who had `drainSeconds` to finish: nobody with protectBusy."""
        now = model.now
        self._cordoned = {
            each: self._cordoned.get(each, now) for each in model.workers if each.cordoned
        }
        if self._policy.protect_busy:
            return frozenset()
        patience = model.place.drain_seconds
        return frozenset(
            each.uid for each, since in self._cordoned.items() if now - since >= patience
        )

    def _settled(self, now: float, leaving: list[Worker]) -> list[Worker]:
        """Return those that Kubernetes has seen as unready by now, or that never were ready."""
        self._settling = {each: self._settling.get(each, now) for each in leaving if each.ready}
        shown = [each for each, since in self._settling.items() if now - since >= UNREADY_SECONDS]
        if len(shown) < len(self._settling):
            self.due = now + UNREADY_SECONDS
        return [each for each in leaving if not each.ready or each in shown]

    def _clamp(self, model: Model) -> Clamp:
        busy = sum(bool(each.runs) for each in model.workers)
        if busy:
            sentence = f"{busy} of {model.replicas} workers have tasks in hand and are kept"
            return Clamp("protectBusy", sentence)
        return Clamp("draining", "idle workers leave once Kubernetes sees that they are unready")
