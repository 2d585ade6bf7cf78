"""A scaling decision as a value, and as lines for a person. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A condition of a TaskQueue."""

    type: str
    status: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A decision: made by `target` (namespace/name of a TaskQueue, or up/HOST) for `queue`.

    `replicas` is what was decided, `before` what was there. `at` is None where none was made yet.
    """

    target: str
    queue: str
    at: datetime | None
    replicas: int | None
    before: int | None
    reason: str
    inputs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    clamps: Sequence[str] = ()
    conditions: Sequence[Condition] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "target": self.target,
            "queue": self.queue,
            "decided_at": None if self.at is None else self.at.isoformat(),
            "replicas": self.replicas,
            "before": self.before,
            "reason": self.reason,
            "inputs": dict(self.inputs),
            "clamps": list(self.clamps),
            "conditions": [
                {
                    "type": each.type,
                    "status": each.status,
                    "reason": each.reason,
                    "message": each.message,
                }
                for each in self.conditions
            ],
        }


def lines(told: Told, now: datetime) -> Iterator[str]:
    """Yield the decision as a person would tell it."""
    yield f"{_who(told)}: {_result(told)}{_when(told, now)}"
    yield f"  because     {told.reason}"
    for name, text in _seen(told.inputs):
        yield f"  {name:<11} {text}"
    for at, clamp in enumerate(told.clamps):
        name, _, sentence = clamp.partition(": ")
        yield f"  {'' if at else 'bounded by':<11} {name}: {sentence}" if sentence else f"  {name}"
    for each in told.conditions:
        if _notable(each):
            state = "" if each.status == "True" else "not "
            yield f"  {state + each.type:<11} {each.reason}: {each.message}"


def _who(told: Told) -> str:
    queue = "all queues that no TaskQueue names" if told.queue == "*" else f"queue {told.queue}"
    made_by = told.target if told.target.startswith("up/") else f"TaskQueue {told.target}"
    return f"{queue} ({made_by})"


def _result(told: Told) -> str:
    if told.replicas is None:
        return "no decision yet"
    workers = "1 worker" if told.replicas == 1 else f"{told.replicas} workers"
    if told.before is None or told.before == told.replicas:
        return workers
    return f"{told.before} -> {workers}"


def _when(told: Told, now: datetime) -> str:
    if told.at is None:
        return ""
    ago = timedelta(seconds=max(0, round((now - told.at).total_seconds())))
    return f", since {told.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC ({ago} ago)"


def _seen(inputs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what the decision was made from, by the line that it stands in."""
    tasks = _joined(
        inputs,
        ("queued", "{} queued"),
        ("dueSoon", "{} due soon"),
        ("running", "{} running"),
        ("oldestSeconds", "the oldest waits {} s"),
    )
    load = _joined(
        inputs, ("arrivalPerSecond", "{} tasks/s come"), ("meanRunSeconds", "a run takes {} s")
    )
    workers = _joined(
        inputs,
        ("replicas", "{} wanted before"),
        ("readyReplicas", "{} ready"),
        ("startingReplicas", "{} starting"),
        ("busyReplicas", "{} with tasks in hand"),
    )
    more = _joined(
        inputs, ("needed", "the rules call for {}"), ("freeConnections", "{} connections are free")
    )
    for name, text in (("tasks", tasks), ("load", load), ("workers", workers), ("need", more)):
        if text:
            yield name, text


def _joined(inputs: Mapping[str, Any], *known: tuple[str, str]) -> str:
    return ", ".join(
        words.format(_figure(inputs[name])) for name, words in known if inputs.get(name) is not None
    )


def _figure(value: float) -> str:
    """Return it in full: 1234567 and 0.125, never 1.23457e+06."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


def _notable(each: Condition) -> bool:
    """Return whether the condition says more than that all is well."""
    good = "False" if each.type == "ScalerConflict" else "True"
    return each.status != good or each.reason in {"ReplicasIgnored", "External"}
