"""TaskQueue resources for the demo app, with workers of their own."""

from typing import Any

Manifest = dict[str, Any]


def demo_queue(
    name: str,
    *,
    scaling: dict[str, Any],
    task_seconds: float,
    failure_rate: float = 0.0,
    **worker: Any,
) -> Manifest:
    """Return a TaskQueue whose workers run the demo app at the given speed."""
    return {
        "apiVersion": "tidemill.dev/v1alpha1",
        "kind": "TaskQueue",
        "metadata": {"name": name},
        "spec": {
            "queue": name,
            "scaling": scaling,
            "worker": {
                "env": [
                    {"name": "DEMO_EMAIL_SECONDS", "value": str(task_seconds)},
                    {"name": "DEMO_FAILURE_RATE", "value": str(failure_rate)},
                ],
                "resources": {
                    "requests": {"cpu": "50m", "memory": "96Mi"},
                    "limits": {"memory": "384Mi"},
                },
                **worker,
            },
        },
    }


def emails(queue: str, count: int) -> list[Manifest]:
    """Return tasks for the demo app."""
    payload = {"to": "someone@example.com", "subject": "Hello"}
    return [{"type": "send_email", "queue": queue, "payload": payload} for _ in range(count)]


def pods_of(name: str) -> str:
    """Return the selector of a TaskQueue's worker pods."""
    return f"tidemill.dev/taskqueue={name}"
