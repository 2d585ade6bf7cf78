"""Which of several operators acts? Judged from a Lease and for how long it has been as it is. Pure.

Clocks of other machines are not trusted: a Lease has run out when it was seen unchanged for its
whole duration, by the reader's own monotonic clock. The times in it are for people only. (The idea
is that of leader election in Kubernetes' client-go.)

`leaseTransitions` is the term of who holds it. It only rises: each holder's is higher than any
before, so what an old holder still sends can be told from what the new one sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from tidemill_operator.body import part

Json = dict[str, Any]

LEASE_SECONDS = 15
"""How long a Lease that nobody renews keeps others from acting."""

RENEW_SECONDS = 5.0
"""Time between renewals of a holder."""

DEADLINE_SECONDS = 10.0
"""A holder that has not renewed for so long stops acting: well before another may begin."""

LOOK_SECONDS = 1.0
"""Time between looks of who does not hold it, and between tries of a holder that cannot renew."""

LONGEST_SECONDS = 60.0
"""A Lease that says more (somebody wrote it by hand) is believed for so long."""


class Act(Enum):
    """What to do about a Lease."""

    CREATE = "create"
    TAKE = "take"
    RENEW = "renew"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Sighting:
    """A Lease as it was read, and since when (monotonic seconds) nobody has changed it."""

    body: Mapping[str, Any]
    since: float

    @property
    def holder(self) -> str:
        """Who holds it; '' = nobody."""
        return str(part(self.body, "spec").get("holderIdentity") or "")

    @property
    def term(self) -> int:
        """The term of who holds it, or held it last."""
        return int(part(self.body, "spec").get("leaseTransitions") or 0)

    @property
    def ends(self) -> float:
        """When others may take it (monotonic seconds), if it stays as it is."""
        seconds = part(self.body, "spec").get("leaseDurationSeconds") or LEASE_SECONDS
        return self.since + min(float(seconds), LONGEST_SECONDS)


def sighting(
    before: Sighting | None, body: Mapping[str, Any] | None, now: float
) -> Sighting | None:
    """Return what is known after `body` was read at `now`; None when there is no Lease."""
    if body is None:
        return None
    same = before is not None and part(before.body, "spec") == part(body, "spec")
    return Sighting(body, before.since if before is not None and same else now)


def judge(identity: str, seen: Sighting | None, now: float) -> Act:
    """Return what the operator called `identity` does about the Lease it has just read."""
    if seen is None:
        return Act.CREATE
    if seen.holder == identity:
        return Act.RENEW
    if not seen.holder or now >= seen.ends:
        return Act.TAKE
    return Act.WAIT


def held(
    name: str, namespace: str, identity: str, term: int, before: Mapping[str, Any] | None
) -> Json:
    """Return the Lease as `identity` holds it from now on, to replace `before`."""
    now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    spec = part(before, "spec") if before else {}
    acquired = spec.get("acquireTime") if spec.get("holderIdentity") == identity else now
    return {
        **_named(name, namespace, before),
        "spec": {
            "holderIdentity": identity,
            "leaseDurationSeconds": LEASE_SECONDS,
            "acquireTime": acquired or now,
            "renewTime": now,
            "leaseTransitions": term,
        },
    }


def released(before: Mapping[str, Any]) -> Json:
    """Return a Lease that its holder has let go; the term stays."""
    spec = {**part(before, "spec"), "holderIdentity": "", "leaseDurationSeconds": 1}
    return {**before, "spec": spec}


def _named(name: str, namespace: str, before: Mapping[str, Any] | None) -> Json:
    meta = before["metadata"] if before else {"name": name, "namespace": namespace}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta}
