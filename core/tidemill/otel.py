"""OpenTelemetry spans around enqueue and run: `App(middleware=[Tracing()])`.

Needs the extra `otel`, and an SDK with an exporter that the process sets up itself. Attributes
follow OpenTelemetry's conventions for messaging. Error messages and tracebacks in spans are
redacted as recorded errors are.
"""

import asyncio
import traceback
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

try:
    from opentelemetry import context as contexts
    from opentelemetry import propagate, trace
except ImportError as error:
    raise ImportError(
        "tidemill.otel needs the extra otel: pip install 'tidemill[otel]'", name=error.name
    ) from error

from tidemill.models import NewTask
from tidemill.redaction import redact
from tidemill.sdk.context import Context, StopReason
from tidemill.sdk.middleware import Call, Middleware
from tidemill.signals import Snooze
from tidemill.tracing import TRACEPARENT, Trace

_UNCHARGED: Final = {
    StopReason.CANCELLED: "cancelled",
    StopReason.DRAINING: "released",
    StopReason.LEASE_LOST: "lease_lost",
}


class Tracing(Middleware):
    """A producer span around each enqueue, a consumer span around each run.

    A run's span is a child of the enqueue's; with `link=True` it begins a trace of its own, with a
    link to the enqueue: for tasks that run hours later, or thousands from one request.
    """

    def __init__(
        self, *, tracer_provider: trace.TracerProvider | None = None, link: bool = False
    ) -> None:
        """Make spans by `tracer_provider`, or by the process's own."""
        self._tracer = trace.get_tracer("tidemill", tracer_provider=tracer_provider)
        self._link = link

    @contextmanager
    def enqueue(self, tasks: Sequence[NewTask]) -> Generator[None]:
        """Put the tasks that name no trace of their own into the span's."""
        types, queues = {each.type for each in tasks}, {each.queue for each in tasks}
        with self._tracer.start_as_current_span(
            _name("enqueue", types),
            kind=trace.SpanKind.PRODUCER,
            attributes=_attributes("enqueue", "send", types, queues, len(tasks)),
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            carrier = _carrier()
            for task in tasks:
                headers = task.headers or {}
                if carrier and TRACEPARENT not in headers:
                    task.headers = headers | carrier
            try:
                yield
            except BaseException as error:
                _failed(span, error)
                raise

    async def run(self, context: Context, call: Call) -> Any:
        """Go around a run; what it logs and enqueues belongs to its span."""
        # Not what is current here: a worker may have been started within a span.
        parent = propagate.extract(context.headers, context=contexts.Context())
        token = contexts.attach(contexts.Context() if self._link else parent)
        try:
            with self._tracer.start_as_current_span(
                _name("run", {context.type}),
                kind=trace.SpanKind.CONSUMER,
                attributes=_of_run(context),
                links=_links(parent) if self._link else (),
                record_exception=False,
                set_status_on_exception=False,
            ) as span:
                _place(context, span)
                return await _told(span, context, call)
        finally:
            contexts.detach(token)


async def _told(span: trace.Span, context: Context, call: Call) -> Any:
    """Run, and tell the span how that ended."""
    try:
        value = await call()
    except BaseException as error:
        _ended(span, context, error)
        raise
    _ended(span, context, None)
    return value


def _ended(span: trace.Span, context: Context, error: BaseException | None) -> None:
    """Tell the span what the worker will record: the rules are those of `conclude`."""
    reason = context.stop_reason
    if reason is StopReason.TIMEOUT:
        span.set_status(trace.Status(trace.StatusCode.ERROR, "ran past its timeout"))
        outcome = "failed"
        span.set_attribute("error.type", "timeout")
    elif reason is not None and (error is not None or reason is StopReason.LEASE_LOST):
        outcome = _UNCHARGED[reason]
    elif error is None:
        outcome = "succeeded"
    elif isinstance(error, Snooze):
        outcome = "snoozed"
    else:
        outcome = "failed"
        _failed(span, error)
    span.set_attribute("tidemill.task.outcome", outcome)


def _failed(span: trace.Span, error: BaseException) -> None:
    message = redact(str(error))
    span.set_status(trace.Status(trace.StatusCode.ERROR, message))
    span.set_attribute("error.type", type(error).__qualname__)
    if isinstance(error, asyncio.CancelledError):
        return
    lines = traceback.format_exception(error)
    span.add_event(
        "exception",
        {
            "exception.type": type(error).__qualname__,
            "exception.message": message,
            "exception.stacktrace": redact("".join(lines)),
        },
    )


def _name(act: str, types: set[str]) -> str:
    """Return a span's name; of few values, so of several types none is named."""
    return f"{act} {next(iter(types))}" if len(types) == 1 else act


def _attributes(
    name: str, kind: str, types: set[str], queues: set[str | None], count: int = 1
) -> dict[str, str | int]:
    found: dict[str, str | int] = {
        "messaging.system": "tidemill",
        "messaging.operation.name": name,
        "messaging.operation.type": kind,
    }
    if len(types) == 1:
        found["tidemill.task.type"] = next(iter(types))
    if len(queues) == 1 and (queue := next(iter(queues))) is not None:
        found["messaging.destination.name"] = queue
    if count != 1:
        found["messaging.batch.message_count"] = count
    return found


def _of_run(context: Context) -> Mapping[str, str | int]:
    return {
        **_attributes("run", "process", {context.type}, {context.queue}),
        "messaging.message.id": str(context.id),
        "tidemill.task.attempt": context.attempt,
    }


def _links(parent: contexts.Context) -> list[trace.Link]:
    asked = trace.get_current_span(parent).get_span_context()
    return [trace.Link(asked)] if asked.is_valid else []


def _carrier() -> dict[str, str]:
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier


def _place(context: Context, span: trace.Span) -> None:
    """Let the run's log lines and children be of `span`'s trace."""
    place = span.get_span_context()
    if not place.is_valid:
        return
    context.headers = context.headers | _carrier()
    context.span = Trace(
        trace.format_trace_id(place.trace_id),
        trace.format_span_id(place.span_id),
        int(place.trace_flags) & 1,
    )
