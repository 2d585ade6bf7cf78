"""Does somebody else set the replicas of the same Deployment? Kubernetes notes who wrote a field.

Replicas that are not what we wrote last, in a field that another manager holds, were set by a
rival: an HPA, KEDA, a deployment tool that states replicas, a person. It is told for a while,
because two scalers take turns: at any one moment the field may be ours.
"""

from collections.abc import Mapping
from typing import Any

from tidemill_operator.body import part, parts
from tidemill_operator.kube import FIELD_MANAGER
from tidemill_operator.targets import replicas_of
from tidemill_operator.view import uid_of

TOLD_SECONDS = 300.0
"""How long a change of replicas by somebody else is told after it was seen."""


class Rivals:
    """Watches over the replicas of one target."""

    def __init__(self) -> None:
        """Nothing was written or seen yet."""
        self._target = ""
        self._known: int | None = None
        self._message = ""
        self._seen_at = float("-inf")

    def wrote(self, replicas: int) -> None:
        """Note that we have set the replicas."""
        self._known = replicas

    def saw(self, deployment: Mapping[str, Any], now: float) -> None:
        """Compare the replicas with what they were left at."""
        uid, replicas = uid_of(deployment), replicas_of(deployment)
        if uid != self._target:
            self._target, self._known = uid, None
        before, self._known = self._known, replicas
        if before is None or before == replicas:
            return
        manager, at = _last_manager(deployment)
        if manager is not None:
            self._seen_at = now
            self._message = (
                f"{manager} set the replicas of Deployment {deployment['metadata']['name']} from "
                f"{before} to {replicas} at {at}: let only one scale it, or set "
                "spec.scaling.mode to External or Off"
            )

    def message(self, now: float) -> str | None:
        """Return who else has set the replicas lately, and what to do about it; None = nobody."""
        return self._message if 0 <= now - self._seen_at < TOLD_SECONDS else None


def _last_manager(deployment: Mapping[str, Any]) -> tuple[str | None, str]:
    """Return who else holds the field, and since when; of several the last one to write."""
    others = [
        (str(entry.get("time", "")), str(entry["manager"]))
        for entry in parts(deployment, "metadata", "managedFields")
        if "f:replicas" in part(entry, "fieldsV1", "f:spec") and entry["manager"] != FIELD_MANAGER
    ]
    at, manager = max(others, default=("", None))
    return manager, at
