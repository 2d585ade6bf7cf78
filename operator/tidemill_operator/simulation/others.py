"""Models of who else sets replicas: a HorizontalPodAutoscaler, and KEDA, which drives one.

They follow the code and the documented defaults of Kubernetes 1.34 and KEDA 2.20, and are held
beside what was measured there (tests/unit/test_simulation_others.py):

- An HPA looks every 15 s. Without `spec.behavior` it may go to four replicas or twice as many as
  there are in one look, and goes down to the most that it wished for within 5 minutes. With it,
  steps up are bounded by what was there 15 s ago (its own steps undone): four more or twice that.
- KEDA polls every 30 s, goes from none to one by itself, and back to none 300 s after the last poll
  that found something. In between its HPA decides. With a `minReplicaCount` above none it leaves
  everything to the HPA.
"""

import math
import random
from collections import deque
from dataclasses import dataclass

from tidemill_operator.simulation.model import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class HpaRules:
    """How an HPA is set: Kubernetes' defaults. `per_replica` is the metric's AverageValue.

    `behavior`: whether the HPA has a `spec.behavior`, whatever is in it: its steps up are counted
    another way then.
    """

    least: int = 1
    most: int = 10
    per_replica: float = 5.0
    behavior: bool = False
    sync_seconds: float = 15.0
    tolerance: float = 0.1
    up_pods: int = 4
    up_period_seconds: float = 15.0
    down_window_seconds: float = 300.0


class Hpa:
    """A HorizontalPodAutoscaler on the number of waiting and running tasks."""

    def __init__(self, rules: HpaRules, *, seed: int = 1) -> None:
        """Look for the first time at some moment of the first sync period."""
        self.due = random.Random(f"hpa {seed}").uniform(0, rules.sync_seconds)
        self._rules = rules
        self._wished = deque[tuple[float, int]]()
        self._steps = deque[tuple[float, int]]()

    def wake(self, now: float) -> None:
        """Hear nothing: it polls."""

    def look(self, model: Model) -> str:
        """Sync; at zero an HPA is off."""
        self.due += self._rules.sync_seconds
        present = model.replicas
        if present == 0:
            return ""
        wish = self._stabilised(self._wish(model.outstanding, present), model.now)
        wish = max(self._rules.least, min(wish, self._most(present, model.now), self._rules.most))
        if self._rules.behavior:
            self._steps.append((model.now, wish - present))
        model.add(max(0, wish - present))
        model.remove(model.chosen_by_kubernetes(present - wish))
        return f"{model.outstanding} tasks at {self._rules.per_replica:g} a replica"

    def _wish(self, outstanding: int, present: int) -> int:
        usage = outstanding / (self._rules.per_replica * present)
        if abs(usage - 1) <= self._rules.tolerance:
            return present
        return math.ceil(outstanding / self._rules.per_replica)

    def _stabilised(self, wish: int, now: float) -> int:
        self._wished.append((now, wish))
        while self._wished[0][0] < now - self._rules.down_window_seconds:
            self._wished.popleft()
        return max(each for _, each in self._wished)

    def _most(self, present: int, now: float) -> int:
        rules = self._rules
        if not rules.behavior:
            return max(2 * present, rules.up_pods)
        while self._steps and self._steps[0][0] <= now - rules.up_period_seconds:
            self._steps.popleft()
        before = present - sum(more for _, more in self._steps)
        return max(before + rules.up_pods, 2 * before, present)


@dataclass(frozen=True, slots=True, kw_only=True)
class KedaRules:
    """How a ScaledObject is set: KEDA's defaults. `least` = its minReplicaCount."""

    least: int = 0
    poll_seconds: float = 30.0
    cooldown_seconds: float = 300.0


class Keda:
    """KEDA: between zero and one by its own polls, above that by an HPA."""

    def __init__(self, rules: KedaRules, hpa: HpaRules, *, seed: int = 1) -> None:
        """Poll for the first time at some moment of the first poll period."""
        self._rules = rules
        self._hpa = Hpa(hpa, seed=seed)
        self._poll_due = random.Random(f"keda {seed}").uniform(0, rules.poll_seconds)
        self._active_at = -math.inf

    @property
    def due(self) -> float:
        """When the next poll or sync is."""
        return min(self._poll_due, self._hpa.due)

    def wake(self, now: float) -> None:
        """Hear nothing: it polls."""

    def look(self, model: Model) -> str:
        """Poll, or let the HPA sync."""
        if self._hpa.due < self._poll_due:
            return self._hpa.look(model)
        self._poll_due += self._rules.poll_seconds
        if model.outstanding > 0:
            self._active_at = model.now
            if model.replicas == 0:
                model.add(1)
            return "there are tasks: one replica at least"
        if self._rules.least == 0 < model.replicas and self._cooled(model.now):
            model.remove(list(model.workers))
            return f"no task for {self._rules.cooldown_seconds:g} s"
        return ""

    def _cooled(self, now: float) -> bool:
        return now - self._active_at >= self._rules.cooldown_seconds
