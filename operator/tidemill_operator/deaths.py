"""Which worker pods and containers are dead, seen from a watch of pods. Pure.

A pod is dead when it is gone or has ended, a container while Kubernetes waits before it starts it
again. A container that is started again at once is not told: its new process takes back itself what
the one before it had, and must not be taken for dead.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tidemill_operator.body import part, parts

ENDED = ("Succeeded", "Failed")
BACKOFF = "CrashLoopBackOff"


@dataclass(frozen=True, slots=True)
class Death:
    """A pod that is dead, or one container of it in the back-off after a start."""

    pod_uid: str
    container: str | None = None
    start: int = 0

    def took(self, pod_uid: str, container: str | None) -> bool:
        """Return whether a worker of this pod and container is dead by it."""
        return pod_uid == self.pod_uid and self.container in {None, container}


class Deaths:
    """Deaths that nobody has taken yet; each is told once, and none whose container lives again."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self._now: dict[str, frozenset[Death]] = {}
        self._new: list[Death] = []

    def see(self, body: Mapping[str, Any], *, deleted: bool) -> bool:
        """Look at a pod as it is now; return whether there is a death to tell."""
        uid = str(body["metadata"]["uid"])
        before = self._now.pop(uid, frozenset[Death]())
        now = _deaths(uid, body, deleted=deleted)
        if now and not deleted:
            self._now[uid] = now
        self._new = [each for each in self._new if each.pod_uid != uid or each in now]
        told = now - before
        self._new.extend(told)
        return bool(told)

    def take(self) -> list[Death]:
        """Return the deaths since the last call."""
        new, self._new = self._new, []
        return new

    def put_back(self, deaths: Iterable[Death]) -> None:
        """Return deaths to be taken again, as far as they are still so."""
        self._new.extend(
            each
            for each in deaths
            if each.container is None or each in self._now.get(each.pod_uid, ())
        )


def _deaths(uid: str, body: Mapping[str, Any], *, deleted: bool) -> frozenset[Death]:
    status = part(body, "status")
    if deleted or status.get("phase") in ENDED:
        return frozenset({Death(uid)})
    return frozenset(
        Death(uid, str(each["name"]), int(each.get("restartCount", 0)))
        for each in parts(body, "status", "containerStatuses")
        if part(each, "state", "waiting").get("reason") == BACKOFF
    )
