"""The status of a TaskQueue as a value: figures, the last decision, conditions. Pure.

A status is written when something that a person or another program acts on has changed; figures
that move all the time are written every few seconds only, and the decision's memory with them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tidemill_operator.body import part, parts
from tidemill_operator.decision import Decision
from tidemill_operator.need import Reading
from tidemill_operator.policy import Mode, Policy
from tidemill_operator.problems import Problem
from tidemill_operator.targets import ready_of, replicas_of

Json = dict[str, Any]

FIGURES_SECONDS = 5.0
"""Least time between two writes of which only the figures differ."""

_DEFAULT_REPLICAS = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one look at one TaskQueue.

    `database` tells why the queue was not read, `conflict` who else sets the replicas.
    """

    mode: Mode
    reading: Reading | None
    deployment: Mapping[str, Any] | None = None
    decision: Decision | None = None
    problem: Problem | None = None
    database: Problem | None = None
    conflict: str | None = None


def status_of(task_queue: Mapping[str, Any], outcome: Outcome, now: float) -> Json:
    """Return the whole status after `outcome`. What is not known now keeps its last value."""
    old = part(task_queue, "status")
    status: Json = dict(old)
    status["observedGeneration"] = task_queue["metadata"]["generation"]
    status |= _of_deployment(outcome.deployment)
    if outcome.reading is not None:
        status["queued"] = outcome.reading.queued
        status["running"] = outcome.reading.running
        status["oldestSeconds"] = int(outcome.reading.oldest_seconds)
    if outcome.decision is not None:
        status["desiredReplicas"] = outcome.decision.replicas
        status["scaling"] = outcome.decision.memory.to_status()
    if (last := _last_decision(outcome, old.get("lastDecision"), now)) is not None:
        status["lastDecision"] = last
    status["conditions"] = _conditions(task_queue, outcome, status, now)
    return status


def _of_deployment(deployment: Mapping[str, Any] | None) -> Json:
    if deployment is None:
        return {}
    return {
        "replicas": part(deployment, "status").get("replicas", 0),
        "readyReplicas": ready_of(deployment),
        "selector": selector_text(deployment["spec"]["selector"]),
    }


def selector_text(selector: Mapping[str, Any]) -> str:
    """Return a label selector as the one string that the scale subresource wants."""
    words = [f"{key}={value}" for key, value in sorted(part(selector, "matchLabels").items())]
    for each in parts(selector, "matchExpressions"):
        key, operator = each["key"], each["operator"]
        if operator in ("Exists", "DoesNotExist"):
            words.append(key if operator == "Exists" else f"!{key}")
        else:
            words.append(f"{key} {operator.lower()} ({','.join(each['values'])})")
    return ",".join(words)


def _last_decision(outcome: Outcome, old: Mapping[str, Any] | None, now: float) -> Json | None:
    """Return the decision to show; an unchanged one stays as it was, with its time."""
    if outcome.problem is not None:
        new: Json = {"reason": f"{outcome.problem.reason}: {outcome.problem.message}"}
        if old and "replicas" in old:
            new["replicas"] = old["replicas"]
    elif outcome.decision is not None:
        new = {"replicas": outcome.decision.replicas, "reason": outcome.decision.reason}
        if outcome.decision.rule:
            new["rule"] = outcome.decision.rule
        if outcome.decision.clamps:
            new["clamps"] = [str(each) for each in outcome.decision.clamps]
    else:
        return None
    if old and all(old.get(name) == new.get(name) for name in ("replicas", "reason", "clamps")):
        return None
    if outcome.decision is not None and outcome.decision.inputs:
        new["inputs"] = outcome.decision.inputs
    return {"time": _timestamp(now), **new}


def _conditions(
    task_queue: Mapping[str, Any], outcome: Outcome, status: Mapping[str, Any], now: float
) -> list[Json]:
    old = {each["type"]: each for each in parts(task_queue, "status", "conditions")}
    wanted = {
        "Ready": _ready(outcome, status),
        "ScalingActive": _scaling_active(task_queue, outcome),
        "DatabaseReachable": _database_reachable(outcome),
        "ScalerConflict": _scaler_conflict(outcome),
    }
    generation = task_queue["metadata"]["generation"]
    return [
        {
            "type": name,
            "status": wanted[name][0],
            "observedGeneration": generation,
            "lastTransitionTime": _since(wanted[name][0], old.get(name), now),
            "reason": wanted[name][1],
            "message": wanted[name][2],
        }
        for name in wanted
    ]


def _ready(outcome: Outcome, status: Mapping[str, Any]) -> tuple[str, str, str]:
    if outcome.problem is not None:
        return "False", outcome.problem.reason, outcome.problem.message
    ready = status.get("readyReplicas", 0)
    wanted = replicas_of(outcome.deployment) if outcome.deployment else 0
    if ready < wanted:
        return "False", "WorkersStarting", f"{ready} of {wanted} workers are ready"
    return "True", "WorkersReady", "all wanted workers are ready"


def _scaling_active(task_queue: Mapping[str, Any], outcome: Outcome) -> tuple[str, str, str]:
    if outcome.mode is Mode.OFF:
        return "False", "Off", "spec.scaling.mode is Off: replicas are left alone"
    if outcome.problem is not None:
        return "False", outcome.problem.reason, "replicas are held: see the condition Ready"
    if outcome.mode is Mode.EXTERNAL:
        return "True", "External", _obeyed(task_queue["spec"], outcome)
    if outcome.database is not None:
        return "False", outcome.database.reason, "the queue cannot be read: replicas are held"
    asked = task_queue["spec"].get("replicas", _DEFAULT_REPLICAS)
    if asked != _DEFAULT_REPLICAS:
        message = f"spec.replicas ({asked}) is ignored: spec.scaling.mode is Operator"
        return "True", "ReplicasIgnored", message
    return "True", "Active", "replicas follow the queue"


def _obeyed(spec: Mapping[str, Any], outcome: Outcome) -> str:
    """Return the sentence about External: what it means for what the user has set."""
    said = ["spec.replicas is obeyed"]
    if idle := ineffective(spec):
        verb = "has" if len(idle) == 1 else "have"
        said.append(f"{', '.join(idle)} {verb} no effect on it in the mode External")
    if outcome.database is not None:
        said.append("the queue cannot be read, so a scale-down may take busy workers")
    return "; ".join(said)


def ineffective(spec: Mapping[str, Any]) -> list[str]:
    """Return the fields of `spec.scaling` that the mode External does not heed, where set.

    Those that say what the CRD fills in count as not set: nobody can tell.
    """
    policy, plain = Policy.of(spec), Policy()
    values = {
        "minReplicas": (policy.min_replicas, plain.min_replicas),
        "maxReplicas": (policy.max_replicas, plain.max_replicas),
        "tasksPerReplica": (policy.tasks_per_replica, plain.tasks_per_replica),
        "targetWaitSeconds": (policy.target_wait_seconds, plain.target_wait_seconds),
        "scaleUp": (policy.up, plain.up),
        "scaleDown": (policy.down, plain.down),
        "idleSeconds": (policy.idle_seconds, plain.idle_seconds),
    }
    return [name for name, (given, default) in values.items() if given != default]


def _database_reachable(outcome: Outcome) -> tuple[str, str, str]:
    if outcome.database is not None:
        return "False", outcome.database.reason, outcome.database.message
    return "True", "Reachable", "the queue is read"


def _scaler_conflict(outcome: Outcome) -> tuple[str, str, str]:
    if outcome.conflict is not None:
        return "True", "ReplicasChanged", outcome.conflict
    return "False", "NoConflict", "nobody else has set the replicas lately"


def _since(value: str, old: Mapping[str, Any] | None, now: float) -> str:
    """Return since when the condition has had its status."""
    if old is not None and old["status"] == value:
        since: str = old["lastTransitionTime"]
        return since
    return _timestamp(now)


def is_due(old: Mapping[str, Any], new: Mapping[str, Any], since_write: float) -> bool:
    """Return whether `new` should be written, `since_write` seconds after the last write."""
    if _significant(old) != _significant(new):
        return True
    if since_write < FIGURES_SECONDS:
        return False
    # The memory alone is no reason to write: an idle queue would be written for ever.
    return {**old, "scaling": None} != {**new, "scaling": None}


def _significant(status: Mapping[str, Any]) -> tuple[Any, ...]:
    plain = ("observedGeneration", "replicas", "readyReplicas", "desiredReplicas", "selector")
    return (
        *(status.get(name) for name in plain),
        *((each["type"], each["status"], each["reason"]) for each in parts(status, "conditions")),
    )


def _timestamp(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
