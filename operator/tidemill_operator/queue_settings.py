"""The queue settings of a TaskQueue's spec, as the queue's row takes them. Pure."""

from collections.abc import Mapping
from typing import Any

from tidemill.retry import RetryPolicy
from tidemill.store.queues import Owner, QueueSettings
from tidemill_operator.body import part

_RETRY_FIELDS = {
    "policy": "policy",
    "baseSeconds": "base_seconds",
    "factor": "factor",
    "maxSeconds": "max_seconds",
    "delaysSeconds": "delays_seconds",
}


def settings_of(spec: Mapping[str, Any]) -> QueueSettings:
    """Return what `spec` sets; what it leaves out stays None and is never written."""
    retry = part(spec, "retry")
    rate = part(spec, "rateLimit")
    keep = part(spec, "retention")
    return QueueSettings(
        paused=spec.get("paused"),
        max_retries=retry.get("maxRetries"),
        timeout_seconds=spec.get("timeoutSeconds"),
        retry=_retry_policy(retry),
        lease_seconds=spec.get("leaseSeconds"),
        succeeded_seconds=keep.get("succeededSeconds"),
        failed_seconds=keep.get("failedSeconds"),
        cancelled_seconds=keep.get("cancelledSeconds"),
        rate_tasks=rate.get("tasks"),
        rate_seconds=rate.get("seconds"),
        max_running=spec.get("maxRunning"),
    )


def owner_of(task_queue: Mapping[str, Any]) -> Owner:
    """Return the TaskQueue as the owner of its queue's settings."""
    meta = task_queue["metadata"]
    return Owner(
        uid=meta["uid"],
        name=f"{meta['namespace']}/{meta['name']}",
        deletion_policy=task_queue["spec"].get("deletionPolicy", "Retain"),
    )


def _retry_policy(retry: Mapping[str, Any]) -> RetryPolicy | None:
    given = {ours: retry[theirs] for theirs, ours in _RETRY_FIELDS.items() if theirs in retry}
    return RetryPolicy.from_json(given) if given else None
