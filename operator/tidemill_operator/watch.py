"""kopf's part: it watches TaskQueues and the Deployments we own, and feeds the view.

Only `on.event` handlers: they add no finalizer, no annotation and no timer, so that nothing in the
cluster ever waits for this operator. What kopf would store on objects carries our own prefixes all
the same. It neither lists namespaces nor CRDs (`scanning.disabled`), so it needs no cluster rights.
"""

import logging
from collections.abc import Sequence
from typing import Any

import kopf
from kubernetes import client

from tidemill_operator.login import connection_info
from tidemill_operator.resources import MANAGED_BY, WORKER_LABEL
from tidemill_operator.view import DELETED, View

GROUP, VERSION, PLURAL = "tidemill.dev", "v1alpha1", "taskqueues"
PREFIX = "tidemill.dev"

# Without an API server: what kopf would give up on after a minute goes on every half a minute.
_BACKOFFS = (1, 1, 2, 3, 5, 8, 13, 21, *([30] * 2880))


def registry_for(view: View, configuration: client.Configuration) -> kopf.OperatorRegistry:
    """Return handlers that feed `view`, and the login."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    def login(**_: Any) -> kopf.ConnectionInfo:
        return connection_info(configuration)

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def task_queue(event: kopf.RawEvent, **_: Any) -> None:
        view.see_task_queue(_body(event), deleted=event["type"] == DELETED)

    @kopf.on.event("apps", "v1", "deployments", registry=registry)
    async def deployment(event: kopf.RawEvent, **_: Any) -> None:
        view.see_deployment(_body(event), deleted=event["type"] == DELETED)

    @kopf.on.event("", "v1", "pods", registry=registry)
    async def pod(event: kopf.RawEvent, **_: Any) -> None:
        view.see_pod(_body(event), deleted=event["type"] == DELETED)

    del login, task_queue, deployment, pod  # the registry holds them
    return registry


def settings() -> kopf.OperatorSettings:
    """Return kopf's settings."""
    chosen = kopf.OperatorSettings()
    chosen.posting.enabled = False
    chosen.scanning.disabled = True
    chosen.peering.standalone = True
    chosen.networking.request_timeout = 30
    chosen.networking.connect_timeout = 5
    chosen.networking.error_backoffs = _BACKOFFS
    chosen.process.ultimate_exiting_timeout = 20
    # The server filters: Deployments that are none of ours never reach us.
    selector = ",".join(f"{key}={value}" for key, value in MANAGED_BY.items())
    chosen.watching.label_selectors["apps", "v1", "deployments"] = selector
    chosen.watching.label_selectors["", "v1", "pods"] = WORKER_LABEL
    chosen.persistence.finalizer = f"{PREFIX}/unused"
    chosen.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=PREFIX)
    chosen.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=PREFIX)
    return chosen


def scope(namespaces: Sequence[str]) -> dict[str, Any]:
    """Return kopf's arguments for the namespaces to watch; none = all."""
    return {"namespaces": list(namespaces)} if namespaces else {"clusterwide": True}


def calm_logs() -> None:
    """Keep kopf's line for each event of each object out of the log."""
    for chatty in ("kopf.objects", "kopf._core.engines.indexing"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _body(event: kopf.RawEvent) -> dict[str, Any]:
    return dict(event["object"])
