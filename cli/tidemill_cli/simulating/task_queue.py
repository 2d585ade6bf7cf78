"""A TaskQueue's file as options of `tidemill simulate`.

The bounds of each field repeat those of the CRD, which is not there where only the command is
installed; a test holds both equal.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, TextIO, cast

import yaml

from tidemill_operator.policy import Policy


@dataclass(frozen=True, slots=True)
class Field:
    """The option that it sets, and the least and the most it may be; None = true or false."""

    option: str
    least: int | None = None
    most: int | None = None


PLAYED: Mapping[str, Field] = {
    "worker.concurrency": Field("slots", 1, 10_000),
    "worker.drainSeconds": Field("drain", 0, 86_400),
    "scaling.minReplicas": Field("min_replicas", 0, 1000),
    "scaling.maxReplicas": Field("max_replicas", 1, 1000),
    "scaling.tasksPerReplica": Field("tasks_per_replica", 1, 1_000_000),
    "scaling.targetWaitSeconds": Field("target_wait_seconds", 1, 86_400),
    "scaling.idleSeconds": Field("idle_seconds", 0, 86_400),
    "scaling.protectBusy": Field("protect_busy"),
    "scaling.scaleUp.stabilizationWindowSeconds": Field("scale_up_window_seconds", 0, 3600),
    "scaling.scaleUp.maxStep": Field("scale_up_max_step", 1, 1000),
    "scaling.scaleDown.stabilizationWindowSeconds": Field("scale_down_window_seconds", 0, 3600),
    "scaling.scaleDown.maxStep": Field("scale_down_max_step", 1, 1000),
}
NOT_PLAYED = frozenset({"rateLimit", "maxRunning", "paused"})
"""Would change what comes of it."""

OF_NO_ACCOUNT = frozenset({
    "queue", "replicas", "scaleTargetRef", "retry", "leaseSeconds", "timeoutSeconds", "retention",
    "deletionPolicy",
})  # fmt: skip
MODE = "scaling.mode"


@dataclass(frozen=True, slots=True)
class Found:
    """Options as the file sets or the CRD defaults them, and what is left out, in words."""

    options: dict[str, Any] = field(default_factory=dict[str, Any])
    notes: list[str] = field(default_factory=list[str])


def read(file: TextIO) -> Found:
    """Return what a file that holds one TaskQueue sets.

    Raises ValueError that names the field, the rule and the value.
    """
    spec = _spec(file)
    found = Found({"slots": Policy().slots})
    for path, value in _leaves(spec):
        if path in PLAYED:
            found.options[PLAYED[path].option] = _checked(path, value)
        elif path == MODE and value != "Operator":
            found.notes.append(f"spec.scaling.mode {value} is played as Operator")
        elif path.split(".")[0] in NOT_PLAYED and value not in (False, {}):
            found.notes.append(f"spec.{path} is not played")
    return found


def _spec(file: TextIO) -> Mapping[str, Any]:
    try:
        documents = [cast("object", each) for each in yaml.safe_load_all(file) if each is not None]
    except yaml.YAMLError as error:
        message = f"must be YAML: {' '.join(str(error).split())}"
        raise ValueError(message) from None
    bodies = [cast("dict[str, Any]", each) if isinstance(each, dict) else {} for each in documents]
    kinds = [str(each.get("kind") or "something without a kind") for each in bodies]
    if kinds.count("TaskQueue") != 1:
        message = f"must hold one TaskQueue (got {', '.join(kinds) or 'nothing'})"
        raise ValueError(message)
    return _mapping("spec", bodies[kinds.index("TaskQueue")].get("spec") or {})


def _leaves(spec: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the fields that can matter with their values; one that is null is not set."""
    _known("", spec, {*NOT_PLAYED, *OF_NO_ACCOUNT, "worker", "scaling"})
    for name, value in spec.items():
        if value is None:
            continue
        if name == "worker":  # what else is in it, the API server knows
            worker = _mapping("spec.worker", value)
            yield from ((f"worker.{key}", each) for key, each in worker.items() if each is not None)
        elif name == "scaling":
            yield from _below("scaling", value)
        else:
            yield name, value


def _below(path: str, value: object) -> Iterator[tuple[str, Any]]:
    inside = _mapping(f"spec.{path}", value)
    start = f"{path}."
    _known(start, inside, {
        each.removeprefix(start).split(".")[0] for each in (*PLAYED, MODE) if each.startswith(start)
    })  # fmt: skip
    for name, each in inside.items():
        if name in {"scaleUp", "scaleDown"} and each is not None:
            yield from _below(start + name, each)
        elif each is not None:
            yield start + name, each


def _mapping(path: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        message = f"{path}: must have fields (got {value!r})"
        raise ValueError(message)  # noqa: TRY004 - the user's file, not a type of this program
    return cast("dict[str, Any]", value)


def _known(start: str, inside: Mapping[str, Any], names: set[str]) -> None:
    for name in inside:
        if name not in names:
            near = get_close_matches(str(name), names, n=1)
            message = f"spec.{start}{name}: must be a field of a TaskQueue" + (
                f" (did you mean {near[0]}?)" if near else ""
            )
            raise ValueError(message)


def _checked(path: str, value: object) -> object:
    least, most = PLAYED[path].least, PLAYED[path].most
    if least is None or most is None:
        if not isinstance(value, bool):
            message = f"spec.{path}: must be true or false (got {value!r})"
            raise ValueError(message)
    elif type(value) is not int or not least <= value <= most:
        message = f"spec.{path}: must be a whole number from {least} to {most} (got {value!r})"
        raise ValueError(message)
    return value
