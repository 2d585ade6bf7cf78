"""May this client read this metric? The API server knows; what it said holds for some seconds."""

import time
from typing import Any, Final

from tidemill_operator.external.documents import GROUP, VERSION
from tidemill_operator.external.frontproxy import Client
from tidemill_operator.kube import Kube

KEPT_SECONDS: Final = 10.0
MOST_KEPT: Final = 1000


class Access:
    """Asks by a SubjectAccessReview."""

    def __init__(self, kube: Kube) -> None:
        """`kube` may write whether this operator acts or not: a review changes nothing."""
        self._kube = kube
        self._known: dict[object, tuple[bool, float]] = {}

    async def allows(self, client: Client, namespace: str, metric: str) -> bool:
        """Return whether `client` may list the metric in `namespace`. Raises a KubeError."""
        key = (client.user, client.groups, client.uid, repr(client.extra), namespace, metric)
        allowed, until = self._known.get(key, (False, 0.0))
        if time.monotonic() < until:
            return allowed
        answer = await self._kube.review_access(_spec(client, namespace, metric))
        allowed = bool(answer.get("allowed"))
        if len(self._known) >= MOST_KEPT:
            self._known.clear()
        self._known[key] = (allowed, time.monotonic() + KEPT_SECONDS)
        return allowed


def _spec(client: Client, namespace: str, metric: str) -> dict[str, Any]:
    return {
        "user": client.user,
        "groups": list(client.groups),
        "uid": client.uid,
        "extra": {name: list(values) for name, values in client.extra.items()},
        "resourceAttributes": {
            "namespace": namespace,
            "verb": "list",
            "group": GROUP,
            "version": VERSION,
            "resource": metric,
        },
    }
