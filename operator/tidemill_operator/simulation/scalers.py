"""Who sets the replicas: the operator's decision, and models of an HPA and of KEDA with an HPA.

The models follow the documented defaults of Kubernetes 1.34 and KEDA 2.20 and were held beside what
was measured there: from zero KEDA makes one replica when it next polls, the HPA steps from it every
15 s by four or by as many as there are, and back to zero it is 300 s after the last task.
"""

import math
from collections import deque
from dataclasses import dataclass, replace
from typing import Protocol

from tidemill_operator.decision import Observation, decide
from tidemill_operator.memory import Memory
from tidemill_operator.policy import Policy
from tidemill_operator.simulation.model import Model

TICK_SECONDS = 2.0


class Scaler(Protocol):
    """Sets the replicas of a model; called after every step."""

    def act(self, model: Model, *, woken: bool) -> None:
        """Look at the model, if it is time to, and scale it."""


class Tidemill:
    """The operator: a look every tick and at each wake-up, idle workers first."""

    def __init__(self, policy: Policy) -> None:
        """Decide by `policy`."""
        self._policy = policy
        self._memory = Memory()
        self._due = 0.0

    def act(self, model: Model, *, woken: bool) -> None:
        """Decide and carry it out, as the operator's loop does."""
        if not woken and model.now < self._due:
            return
        self._due = model.now + TICK_SECONDS
        look = Observation(
            now=model.now, replicas=model.replicas, ready=model.ready, reading=model.reading()
        )
        decision = decide(look, self._policy, self._memory)
        if decision.replicas < model.replicas:
            decision = decide(replace(look, busy=model.busy), self._policy, self._memory)
        self._memory = decision.memory
        model.scale(decision.replicas, idle_first=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class HpaRules:
    """How an HPA is set: Kubernetes' defaults. `per_replica` is the metric's AverageValue."""

    least: int = 1
    most: int = 10
    per_replica: float = 5.0
    sync_seconds: float = 15.0
    tolerance: float = 0.1
    up_pods: int = 4
    up_period_seconds: float = 15.0
    down_window_seconds: float = 300.0


class Hpa:
    """A HorizontalPodAutoscaler on the number of waiting and running tasks."""

    def __init__(self, rules: HpaRules) -> None:
        """Look first one sync after the start."""
        self._rules = rules
        self._due = rules.sync_seconds
        self._wished = deque[tuple[float, int]]()
        self._raised = deque[tuple[float, int]]()

    def act(self, model: Model, *, woken: bool) -> None:
        """Sync when it is due."""
        del woken  # it polls
        if model.now < self._due:
            return
        self._due += self._rules.sync_seconds
        if model.replicas > 0:  # at zero an HPA is off
            self._sync(model)

    def note_raised(self, now: float, more: int) -> None:
        """Note replicas that were added, by whomever: they count against the step limit."""
        self._raised.append((now, more))

    def _sync(self, model: Model) -> None:
        rules, present = self._rules, model.replicas
        reading = model.reading()
        usage = (reading.queued + reading.running) / (rules.per_replica * present)
        wish = present
        if abs(usage - 1) > rules.tolerance:
            wish = math.ceil((reading.queued + reading.running) / rules.per_replica)
        wish = self._bounded(self._stabilised(wish, model.now), present, model.now)
        if wish > present:
            self.note_raised(model.now, wish - present)
        model.scale(wish, idle_first=False)

    def _stabilised(self, wish: int, now: float) -> int:
        self._wished.append((now, wish))
        while self._wished[0][0] < now - self._rules.down_window_seconds:
            self._wished.popleft()
        return max(each for _, each in self._wished)

    def _bounded(self, wish: int, present: int, now: float) -> int:
        rules = self._rules
        while self._raised and self._raised[0][0] <= now - rules.up_period_seconds:
            self._raised.popleft()
        before = present - sum(more for _, more in self._raised)
        most = max(before + rules.up_pods, 2 * before, present)
        return max(rules.least, min(wish, most, rules.most))


@dataclass(frozen=True, slots=True, kw_only=True)
class KedaRules:
    """How a ScaledObject is set: KEDA's defaults."""

    poll_seconds: float = 30.0
    cooldown_seconds: float = 300.0


class Keda:
    """KEDA: between zero and one by its own polls, above that by an HPA."""

    def __init__(self, rules: KedaRules, hpa: HpaRules) -> None:
        """Poll first one poll after the start."""
        self._rules = rules
        self._hpa = Hpa(hpa)
        self._due = rules.poll_seconds
        self._active_at = 0.0

    def act(self, model: Model, *, woken: bool) -> None:
        """Poll when it is due; then the HPA's turn."""
        if model.now >= self._due:
            self._due += self._rules.poll_seconds
            self._poll(model)
        self._hpa.act(model, woken=woken)

    def _poll(self, model: Model) -> None:
        reading = model.reading()
        if reading.queued + reading.running > 0:
            self._active_at = model.now
            if model.replicas == 0:
                self._hpa.note_raised(model.now, 1)
                model.scale(1, idle_first=False)
        elif model.now - self._active_at >= self._rules.cooldown_seconds:
            model.scale(0, idle_first=False)
