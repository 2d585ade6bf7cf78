"""Retry policies in requests."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from tidemill.errors import Fault
from tidemill.retry import RetryPolicy
from tidemill_api.requests.fields import Delay, Seconds, Strict


class RetryRequest(Strict):
    """How long to wait before each retry (seconds); ± 25 % jitter, never below 1 s."""

    model_config = ConfigDict(
        json_schema_extra={
            "if": {"properties": {"policy": {"const": "list"}}, "required": ["policy"]},
            "then": {
                "properties": {"delays_seconds": {"minItems": 1}},
                "required": ["delays_seconds"],
            },
            "else": {"properties": {"delays_seconds": {"maxItems": 0}}},
        }
    )

    policy: Annotated[
        Literal["exponential", "fixed", "list"],
        Field(description="exponential: base x factor^(n-1); fixed: base; list: delays_seconds"),
    ] = "exponential"
    base_seconds: Delay = 1.0
    factor: Annotated[float, Field(ge=1, le=100)] = 2.0
    max_seconds: Delay = 3600.0
    delays_seconds: Annotated[list[Seconds], Field(max_length=100)] = Field(
        default_factory=list[float]
    )

    def value(self) -> RetryPolicy:
        """Return the policy as core knows it."""
        return RetryPolicy(
            policy=self.policy,
            base_seconds=self.base_seconds,
            factor=self.factor,
            max_seconds=self.max_seconds,
            delays_seconds=tuple(self.delays_seconds),
        )

    def faults(self) -> Sequence[Fault]:
        """Return the rules broken between fields."""
        listed = self.policy == "list"
        if listed != bool(self.delays_seconds):
            rule = "is required for policy list" if listed else "is for policy list only"
            return [Fault("retry.delays_seconds", rule)]
        return ()
