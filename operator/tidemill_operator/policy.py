"""A TaskQueue's spec as values. The CRD has checked and defaulted it; nothing is checked twice.

The defaults repeat those of the CRD for specs that never met it: tests, `tidemill up`, the
simulator. A test holds both equal.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from tidemill_operator.body import part

UTILISATION = 0.8
"""The share of its slots that a worker is planned to have busy (rho of the wait rule)."""

EVERY_QUEUE = "*"

COUNT_CAP = 100_000
"""Waiting tasks are counted up to here: no policy asks for more replicas beyond it."""

DUE_SECONDS = 5.0
"""Scheduled tasks due within this count as waiting, before the start of a worker was measured."""


class Mode(StrEnum):
    """Who sets the replicas."""

    OPERATOR = "Operator"
    EXTERNAL = "External"
    OFF = "Off"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepLimits:
    """`window_seconds`: how long a need must last; `max_step`: most replicas at once, or None."""

    window_seconds: float = 0.0
    max_step: int | None = None

    @classmethod
    def of(cls, value: Mapping[str, Any], *, window_seconds: float) -> Self:
        """Return the limits of `spec.scaling.scaleUp` or `scaleDown`."""
        return cls(
            window_seconds=value.get("stabilizationWindowSeconds", window_seconds),
            max_step=value.get("maxStep"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the decision is bound by. `slots` = tasks that one replica runs at once.

    `connections_per_replica` = database connections that one opens at most; 0 = they do not count.
    """

    min_replicas: int = 0
    max_replicas: int = 10
    tasks_per_replica: int = 5
    target_wait_seconds: float | None = None
    slots: int = 20
    idle_seconds: float = 30.0
    up: StepLimits = field(default_factory=StepLimits)
    down: StepLimits = field(default_factory=lambda: StepLimits(window_seconds=60.0))
    max_running: int | None = None
    tasks_per_second: float | None = None
    paused: bool = False
    protect_busy: bool = True
    connections_per_replica: int = 0

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Self:
        """Return the policy of a TaskQueue's `spec`."""
        scaling = part(spec, "scaling")
        rate = spec.get("rateLimit")
        return cls(
            min_replicas=scaling.get("minReplicas", 0),
            max_replicas=scaling.get("maxReplicas", 10),
            tasks_per_replica=scaling.get("tasksPerReplica", 5),
            target_wait_seconds=scaling.get("targetWaitSeconds"),
            slots=part(spec, "worker").get("concurrency", 20),
            idle_seconds=scaling.get("idleSeconds", 30),
            up=StepLimits.of(part(scaling, "scaleUp"), window_seconds=0),
            down=StepLimits.of(part(scaling, "scaleDown"), window_seconds=60),
            max_running=spec.get("maxRunning"),
            tasks_per_second=rate["tasks"] / rate["seconds"] if rate else None,
            paused=bool(spec.get("paused")),
            protect_busy=scaling.get("protectBusy", True),
        )


def mode_of(spec: Mapping[str, Any]) -> Mode:
    """Return who sets the replicas."""
    return Mode(part(spec, "scaling").get("mode", Mode.OPERATOR))
