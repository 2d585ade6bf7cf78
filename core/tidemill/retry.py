"""When does a failed attempt run again? A pure function of the policy and how often it failed."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, Self

JITTER = 0.25
"""Delays are spread by ± this share, so that tasks that failed together don't return together."""

MIN_DELAY_SECONDS = 1.0
MAX_DELAY_SECONDS = 315_360_000.0
MAX_FACTOR = 100.0
MAX_DELAYS = 100
_POLICIES = ("exponential", "fixed", "list")

Spread = Callable[[], float]
"""Returns a number in [-1, 1]; injected by tests."""


def _uniform_spread() -> float:
    return random.uniform(-1.0, 1.0)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to wait before each retry.

    `exponential`: base x factor^(failures - 1), at most max. `fixed`: always base.
    `list`: the n-th of `delays_seconds`, its last one from there on. Times in seconds.
    """

    policy: Literal["exponential", "fixed", "list"] = "exponential"
    base_seconds: float = 1.0
    factor: float = 2.0
    max_seconds: float = 3600.0
    delays_seconds: tuple[float, ...] = field(default=())

    def delay_seconds(self, failures: int, spread: Spread = _uniform_spread) -> float:
        """Return the delay after the `failures`-th failed attempt (from 1), with jitter."""
        delay = self._plain_delay(max(1, failures)) * (1.0 + JITTER * spread())
        return max(MIN_DELAY_SECONDS, delay)

    def faults(self) -> Iterator[tuple[str, str, Any]]:
        """Yield (field, rule, value) for each rule that the policy breaks."""
        if self.policy not in _POLICIES:
            yield "policy", f"must be one of {', '.join(_POLICIES)}", self.policy
        for name in ("base_seconds", "max_seconds"):
            seconds = getattr(self, name)
            if not (_is_number(seconds) and 0 < seconds <= MAX_DELAY_SECONDS):
                yield name, f"must be more than 0 and at most {MAX_DELAY_SECONDS:.0f}", seconds
        if not (_is_number(self.factor) and 1 <= self.factor <= MAX_FACTOR):
            yield "factor", f"must be 1 to {MAX_FACTOR:g}", self.factor
        if not isinstance(self.delays_seconds, tuple | list):  # pyright: ignore[reportUnnecessaryIsInstance] - users' code
            yield "delays_seconds", "must be a tuple of seconds", self.delays_seconds
            return
        yield from self._delays_faults()

    def _delays_faults(self) -> Iterator[tuple[str, str, Any]]:
        if (self.policy == "list") != bool(self.delays_seconds):
            yield "delays_seconds", "must be given for the policy list, and only for it", None
        if len(self.delays_seconds) > MAX_DELAYS:
            rule = f"must be at most {MAX_DELAYS} numbers"
            yield "delays_seconds", rule, len(self.delays_seconds)
        for seconds in self.delays_seconds:
            if not (_is_number(seconds) and 0 <= seconds <= MAX_DELAY_SECONDS):
                yield "delays_seconds", f"must be 0 to {MAX_DELAY_SECONDS:.0f}", seconds

    def _plain_delay(self, failures: int) -> float:
        if self.policy == "fixed":
            return self.base_seconds
        if self.policy == "list" and self.delays_seconds:
            return self.delays_seconds[min(failures, len(self.delays_seconds)) - 1]
        # 64 doublings are past every allowed maximum; a higher power could overflow a float, as the
        # 64th power of any factor within its bounds does not
        return min(self.max_seconds, self.base_seconds * self.factor ** min(failures - 1, 64))

    @classmethod
    def from_json(cls, value: dict[str, Any] | None) -> Self:
        """Return the policy stored as JSON; absent fields have their defaults."""
        value = dict(value or {})
        if "delays_seconds" in value:
            value["delays_seconds"] = tuple(value["delays_seconds"])
        return cls(**value)

    def to_json(self) -> dict[str, Any]:
        """Return the policy as stored in the database and sent in JSON."""
        if self.policy == "list":
            return {"policy": self.policy, "delays_seconds": list(self.delays_seconds)}
        fixed = {"policy": self.policy, "base_seconds": self.base_seconds}
        if self.policy == "fixed":
            return fixed
        return fixed | {"factor": self.factor, "max_seconds": self.max_seconds}


def delay_after_failure(
    policy: RetryPolicy, *, retry_count: int, max_retries: int, after: float | None = None
) -> float | None:
    """Return in how many seconds a task that failed once more runs again; None: never.

    `retry_count` are the retries charged before this failure, `after` the delay that was asked for
    instead of the policy's.
    """
    if retry_count >= max_retries:
        return None
    return policy.delay_seconds(retry_count + 1) if after is None else after


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
