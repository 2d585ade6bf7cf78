"""W3C trace context: what is read, what is handed on, and to whom."""

from uuid import UUID

import pytest

from tidemill import Context, NewTask
from tidemill.sdk.carrying import carry_on
from tidemill.sdk.context import current
from tidemill.tracing import Trace, of_request

GIVEN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ID = UUID("0193f0a2-7c1e-7000-8000-0123456789ab")


def test_a_traceparent_is_read_and_written_the_same() -> None:
    trace = Trace.parse(GIVEN)
    assert trace == Trace("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", 1)
    assert str(trace) == GIVEN
    assert str(Trace.parse(GIVEN[:-2] + "00")) == GIVEN[:-2] + "00", "not sampled stays so"


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    later = Trace.parse("cc" + GIVEN[2:] + "-what-comes-then")
    assert later is not None
    assert str(later) == GIVEN


@pytest.mark.parametrize(
    "wrong",
    [
        None, "", "x", GIVEN.upper(), GIVEN + "-more", "ff" + GIVEN[2:], GIVEN[:-1], GIVEN + "\n-",
        "00-" + "0" * 32 + GIVEN[35:], GIVEN[:36] + "0" * 16 + "-01", GIVEN.replace("-", "_"),
    ],
)  # fmt: skip
def test_what_is_no_traceparent_counts_as_absent(wrong: str | None) -> None:
    assert Trace.parse(wrong) is None
    assert of_request(wrong, "a=b") == {}
    assert Trace.of(ID, {"traceparent": wrong or ""}).trace_id == ID.hex


def test_a_request_s_headers_become_the_task_s() -> None:
    assert of_request(GIVEN, None) == {"traceparent": GIVEN}
    assert of_request(f" {GIVEN} ", "a=b") == {"traceparent": GIVEN, "tracestate": "a=b"}
    assert of_request(GIVEN, "x" * 513) == {"traceparent": GIVEN}
    assert of_request(GIVEN, "not\udcffstorable") == {"traceparent": GIVEN}


def test_a_task_without_a_trace_has_one_of_its_own() -> None:
    context = Context(id=ID, type="t")
    assert context.trace.trace_id == ID.hex
    assert Trace.parse(context.traceparent) == context.trace


def test_a_task_stays_in_the_trace_of_its_headers_with_a_span_of_its_own() -> None:
    context = Context(id=ID, type="t", headers={"traceparent": GIVEN})
    assert context.trace.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert context.trace.span_id == ID.hex[-16:]
    assert context.described()["trace_id"] == context.trace.trace_id


def test_an_enqueue_in_a_running_task_hands_its_trace_on() -> None:
    asked = Context(id=ID, type="t", headers={"traceparent": GIVEN, "tracestate": "a=b", "x": "y"})
    plain, own = NewTask(type="u", headers={"z": "1"}), NewTask(type="u")
    own.headers = {"traceparent": GIVEN.replace("c-b7", "d-b7")}
    token = current.set(asked)
    try:
        carry_on([plain, own])
    finally:
        current.reset(token)
    handed = {"z": "1", "traceparent": asked.traceparent, "tracestate": "a=b"}
    assert plain.headers == handed
    assert own.headers == {"traceparent": GIVEN.replace("c-b7", "d-b7")}, "it named one itself"


def test_an_enqueue_elsewhere_hands_nothing_on() -> None:
    task = NewTask(type="u")
    carry_on([task])
    assert task.headers is None
