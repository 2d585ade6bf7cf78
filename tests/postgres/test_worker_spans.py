"""OpenTelemetry spans around enqueue and run, across a real worker."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise
from uuid import UUID

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext, SpanKind, StatusCode

from tests.support.worker import eventually, eventually_async, finished
from tidemill import App, Context, NewTask, Snooze
from tidemill.otel import Tracing
from tidemill.settings import Settings
from tidemill.states import Status
from tidemill.store import Store
from tidemill.tracing import Trace
from tidemill_worker import Worker

GIVEN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Spans:
    """What was exported."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self._exporter.get_finished_spans() if span.name == name]

    async def one(self, name: str) -> ReadableSpan:
        """Return the span of this name, once it has ended."""
        await eventually(lambda: bool(self.named(name)), seconds=60)
        (span,) = self.named(name)
        return span


@pytest.fixture
def spans() -> Iterator[Spans]:
    spans = Spans()
    yield spans
    spans.provider.shutdown()


@pytest.fixture
async def app(settings: Settings, spans: Spans) -> AsyncIterator[App]:
    app = App(settings=settings, middleware=[Tracing(tracer_provider=spans.provider)])
    yield app
    await app.client.close()


def place(span: ReadableSpan) -> SpanContext:
    found: SpanContext | None = span.context
    assert found is not None
    return found


def ids(span: ReadableSpan) -> tuple[str, str]:
    found = place(span)
    return trace.format_trace_id(found.trace_id), trace.format_span_id(found.span_id)


def is_child(span: ReadableSpan, parent: ReadableSpan) -> bool:
    is_under = span.parent is not None and span.parent.span_id == place(parent).span_id
    return is_under and place(span).trace_id == place(parent).trace_id


async def test_a_run_is_a_child_of_its_enqueue_whoever_runs_it(
    app: App, spans: Spans, settings: Settings, store: Store
) -> None:
    @app.task(queue="mail")
    async def send(context: Context, to: str) -> str:
        assert to
        return context.traceparent

    async with Worker(app, settings=settings):
        stored = await send.enqueue(to="a@b.c")
        task = await finished(store, stored.id)
    enqueued, ran = await spans.one("enqueue send"), await spans.one("run send")
    assert (enqueued.kind, ran.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER)
    assert is_child(ran, enqueued)
    assert Trace.parse((task.headers or {})["traceparent"]) == Trace(*ids(enqueued), 1)
    assert Trace.parse(str(task.result)) == Trace(*ids(ran), 1), "its own span, for others"
    common = {"messaging.system": "tidemill", "messaging.destination.name": "mail"}
    assert dict(enqueued.attributes or {}) == common | {
        "messaging.operation.name": "enqueue",
        "messaging.operation.type": "send",
        "tidemill.task.type": "send",
    }
    assert dict(ran.attributes or {}) == common | {
        "messaging.operation.name": "run",
        "messaging.operation.type": "process",
        "messaging.message.id": str(task.id),
        "tidemill.task.type": "send",
        "tidemill.task.attempt": 1,
        "tidemill.task.outcome": "succeeded",
    }
    assert ran.status.status_code is StatusCode.UNSET


async def test_a_trace_goes_through_tasks_that_enqueue_tasks_in_threads_too(
    app: App, spans: Spans, settings: Settings
) -> None:
    tracer = spans.provider.get_tracer("handler")

    @app.task
    async def last() -> None: ...

    @app.task
    def middle() -> str:
        with tracer.start_as_current_span("inside"):
            return str(last.enqueue_sync().id)

    @app.task
    async def first() -> None:
        await middle.enqueue()

    async with Worker(app, settings=settings):
        await first.enqueue()
        ran = await spans.one("run middle")
        await spans.one("run last")
    await asyncio.to_thread(app.sync_client.close)
    chain = ["enqueue first", "run first", "enqueue middle", "run middle", "inside"]
    chain += ["enqueue last", "run last"]
    found = [await spans.one(name) for name in chain]
    for parent, child in pairwise(found):
        assert is_child(child, parent), child.name
    assert ids(ran)[0] == ids(found[0])[0]


async def test_a_failed_attempt_has_error_status_and_no_secrets(
    app: App, spans: Spans, settings: Settings, store: Store
) -> None:
    @app.task(max_retries=0)
    async def fails() -> None:
        raise ConnectionError("redis://:p4ss@host is away")

    async with Worker(app, settings=settings):
        stored = await fails.enqueue()
        assert (await finished(store, stored.id)).status is Status.FAILED
    span = await spans.one("run fails")
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "redis://:***@host is away"
    assert (span.attributes or {})["error.type"] == "ConnectionError"
    assert (span.attributes or {})["tidemill.task.outcome"] == "failed"
    (event,) = span.events
    assert event.name == "exception"
    assert "test_worker_spans" in str((event.attributes or {})["exception.stacktrace"])
    assert "p4ss" not in span.to_json()


async def test_a_timeout_is_an_error_and_a_cancellation_is_none(
    app: App, spans: Spans, settings: Settings, store: Store
) -> None:
    @app.task(max_retries=0, timeout_seconds=0.1)
    async def slow() -> None:
        await asyncio.sleep(3600)

    @app.task
    async def unwanted() -> None:
        await asyncio.sleep(3600)

    async with Worker(app, settings=settings):
        too_slow, stopped = await slow.enqueue(), await unwanted.enqueue()
        await finished(store, too_slow.id)
        await running(store, stopped.id)
        await app.client.cancel(stopped.id)
        await finished(store, stopped.id)
    timed_out, cancelled = await spans.one("run slow"), await spans.one("run unwanted")
    assert timed_out.status.status_code is StatusCode.ERROR
    assert (timed_out.attributes or {})["error.type"] == "timeout"
    assert cancelled.status.status_code is StatusCode.UNSET
    assert (cancelled.attributes or {})["tidemill.task.outcome"] == "cancelled"


async def test_a_snoozed_run_is_no_error_and_each_run_has_its_span(
    app: App, spans: Spans, settings: Settings, store: Store
) -> None:
    runs: list[int] = []

    @app.task
    async def later() -> None:
        runs.append(1)
        if len(runs) == 1:
            raise Snooze(1)

    async with Worker(app, settings=settings):
        stored = await later.enqueue()
        await finished(store, stored.id)
    await eventually(lambda: len(spans.named("run later")) == 2)
    outcomes = [
        (each.attributes or {})["tidemill.task.outcome"] for each in spans.named("run later")
    ]
    assert outcomes == ["snoozed", "succeeded"]
    assert all(each.status.status_code is StatusCode.UNSET for each in spans.named("run later"))


async def test_with_links_a_run_begins_a_trace_of_its_own(
    spans: Spans, settings: Settings, store: Store
) -> None:
    app = App(settings=settings, middleware=[Tracing(tracer_provider=spans.provider, link=True)])

    @app.task
    async def task() -> None: ...

    async with Worker(app, settings=settings):
        stored = await task.enqueue()
        await finished(store, stored.id)
    await app.client.close()
    enqueued, ran = await spans.one("enqueue task"), await spans.one("run task")
    assert ran.parent is None
    assert place(ran).trace_id != place(enqueued).trace_id
    (link,) = ran.links
    assert link.context.span_id == place(enqueued).span_id


async def test_a_batch_has_one_span_and_a_trace_named_by_a_task_stands(
    app: App, spans: Spans, store: Store
) -> None:
    own = NewTask(type="b", headers={"traceparent": GIVEN})
    stored = await app.client.enqueue_many([NewTask(type="a"), own])
    span = await spans.one("enqueue")
    assert (span.attributes or {})["messaging.batch.message_count"] == 2
    first, second = [await store.tasks.get(each.id) for each in stored]
    assert first is not None
    assert second is not None
    assert Trace.parse((first.headers or {})["traceparent"]) == Trace(*ids(span), 1)
    assert second.headers == {"traceparent": GIVEN}


async def test_a_refused_enqueue_is_an_error(app: App, spans: Spans) -> None:
    with pytest.raises(Exception, match="queue"):
        await app.client.enqueue(NewTask(type="a", queue="no good name"))
    assert (await spans.one("enqueue a")).status.status_code is StatusCode.ERROR


async def running(store: Store, task_id: UUID) -> None:
    async def is_running() -> bool:
        task = await store.tasks.get(task_id)
        return task is not None and task.status is Status.RUNNING

    await eventually_async(is_running, seconds=60)


def test_without_opentelemetry_the_import_says_what_to_install() -> None:
    hidden = "import sys; sys.modules['opentelemetry'] = None; import tidemill.otel"
    done = subprocess.run(
        [sys.executable, "-c", hidden], capture_output=True, text=True, check=False
    )
    assert "pip install 'tidemill[otel]'" in done.stderr.splitlines()[-1]
