"""Decisions of TaskQueues, as their statuses have them."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from tidemill.errors import NotFound, TidemillError
from tidemill_cli.explaining.told import Condition, Told
from tidemill_operator import login
from tidemill_operator.body import part, parts
from tidemill_operator.kube import Kube
from tidemill_operator.kube_errors import KubeError, KubeNotFound
from tidemill_operator.resources import queue_of

KINDS = ("tq", "taskqueue", "taskqueues", "taskqueue.tidemill.dev", "taskqueues.tidemill.dev")
"""What may stand before the slash."""


def of_task_queue(name: str, namespace: str | None) -> Told:
    """Return the last decision of a TaskQueue; None = the namespace of the kubeconfig or the pod.

    Raises NotFound, ConfigurationError where there is no cluster, TidemillError where it does not
    answer.
    """
    environ = login.environment()
    within = namespace or login.own_namespace(environ)
    found = asyncio.run(_task_queues(login.configuration(environ, connections=1), within))
    for each in found:
        if each["metadata"]["name"] == name:
            return told_of(each)
    there = ", ".join(sorted(each["metadata"]["name"] for each in found)) or "none"
    raise NotFound(f"TaskQueue {name} is not in namespace {within} (there are: {there})")


async def _task_queues(configuration: Any, namespace: str) -> Sequence[Mapping[str, Any]]:
    kube = Kube(configuration, threads=1)
    try:
        return await kube.task_queues(namespace)
    except KubeNotFound:
        raise NotFound("the cluster has no TaskQueues: their definition is missing") from None
    except KubeError as error:
        raise TidemillError(f"the cluster does not answer: {error}") from error
    finally:
        await kube.close()


def told_of(task_queue: Mapping[str, Any]) -> Told:
    """Return what a TaskQueue's status says of its last decision."""
    meta, last = task_queue["metadata"], part(task_queue, "status", "lastDecision")
    inputs, at = part(last, "inputs"), last.get("time")
    return Told(
        target=f"{meta['namespace']}/{meta['name']}",
        queue=queue_of(task_queue),
        at=None if at is None else datetime.fromisoformat(at),
        replicas=last.get("replicas"),
        before=inputs.get("replicas"),
        reason=last.get("reason", "the operator has not looked at it yet: is it running?"),
        inputs=inputs,
        clamps=[str(each) for each in parts(last, "clamps")],
        conditions=[
            Condition(
                type=each["type"],
                status=each["status"],
                reason=each["reason"],
                message=each["message"],
            )
            for each in parts(task_queue, "status", "conditions")
        ],
    )
