"""What a handler may raise to say how its attempt ends. Not errors: instructions.

Raising anything else is a failed attempt, retried by the task's policy.
"""


class Signal(Exception):
    """Base of the instructions below."""


class Retry(Signal):
    """Fail this attempt, and run again after `after` seconds (default: the policy's delay).

    It is charged as a retry; when retries have run out the task becomes a dead letter.
    """

    def __init__(self, reason: str = "", *, after: float | None = None) -> None:
        """Keep why, and the delay in seconds."""
        super().__init__(reason or "retry asked for by the handler")
        self.after = after


class Discard(Signal):
    """Fail for good, now: the task becomes a dead letter whatever retries it has left."""

    def __init__(self, reason: str = "") -> None:
        """Keep why."""
        super().__init__(reason or "discarded by the handler")


class Snooze(Signal):
    """Run again after `seconds`; no retry is charged."""

    def __init__(self, seconds: float) -> None:
        """Keep the delay in seconds (at least 0)."""
        super().__init__(f"snoozed for {seconds:g} s")
        self.seconds = max(0.0, seconds)
