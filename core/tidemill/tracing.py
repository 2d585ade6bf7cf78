"""W3C trace context in a task's headers: which trace a task belongs to, and what it hands on.

A task keeps the `traceparent` and `tracestate` that it was enqueued with. One that came without
belongs to a trace of its own, whose id is the task's id: so the log lines of a task and of all that
it enqueued are found by one id, with or without a tracing system.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self
from uuid import UUID

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"

_SHAPE: Final = re.compile(
    r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[\x21-\x7e]{0,200})?"
)
_STATE: Final = re.compile(r"[\x20-\x7e]{1,512}")
_SAMPLED: Final = 1


@dataclass(frozen=True, slots=True)
class Trace:
    """A place in a trace: `span_id` is of the span that stands there."""

    trace_id: str
    span_id: str
    flags: int = _SAMPLED

    @classmethod
    def parse(cls, traceparent: str | None) -> Self | None:
        """Return the place that `traceparent` names, or None when it is none."""
        found = _SHAPE.fullmatch((traceparent or "").strip())
        if found is None:
            return None
        version, trace_id, span_id, flags, more = found.groups()
        if version == "ff" or (version == "00" and more):
            return None
        if not (int(trace_id, 16) and int(span_id, 16)):
            return None
        return cls(trace_id, span_id, int(flags, 16) & _SAMPLED)

    @classmethod
    def of(cls, task_id: UUID, headers: Mapping[str, str]) -> Self:
        """Return the place of a task: in the trace of its headers, or in one of its own."""
        given = cls.parse(headers.get(TRACEPARENT)) if headers else None
        span_id = task_id.hex[-16:]
        return cls(given.trace_id, span_id, given.flags) if given else cls(task_id.hex, span_id)

    def __str__(self) -> str:
        """Return it as a `traceparent` header."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"


def handed_on(trace: Trace, headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a task that one at `trace` (with these `headers`) asks for."""
    carried = {TRACEPARENT: str(trace)}
    if state := headers.get(TRACESTATE):
        carried[TRACESTATE] = state
    return carried


def of_request(traceparent: str | None, tracestate: str | None) -> dict[str, str]:
    """Return the task headers for these headers of an HTTP request; empty when they hold no trace.

    A traceparent that is none counts as absent; so does a tracestate without one, or malformed.
    """
    if traceparent is None or Trace.parse(traceparent) is None:
        return {}
    carried = {TRACEPARENT: traceparent.strip()}
    if tracestate and _STATE.fullmatch(tracestate):
        carried[TRACESTATE] = tracestate
    return carried
