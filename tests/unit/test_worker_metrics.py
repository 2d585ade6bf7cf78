"""What a worker counts: cheaply, for all workers of a process, with labels of bounded sets."""

import asyncio
import os
import time
from itertools import count

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from tests.support.worker import Bench, claimed, eventually, run_of
from tidemill import App
from tidemill.metrics import REGISTRY
from tidemill.models import Finish
from tidemill.sdk.context import StopReason
from tidemill.states import Outcome
from tidemill_worker import metrics, recycles
from tidemill_worker.gauges import Figures, Gauges
from tidemill_worker.ledger import Ledger
from tidemill_worker.probes import Health
from tidemill_worker.runtimes import MOST_SERIES, Seconds

_names = count()


@pytest.fixture
def name() -> str:
    """A label that no other test counts under."""
    return f"only-here-{next(_names)}"


def value(metric: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"tidemill_worker_{metric}", labels) or 0.0


def end(kind: str, queue: str, *, stopped: StopReason | None = None) -> None:
    run = run_of(claimed(kind, queue=queue, waited_seconds=2.0))
    run.claimed_at -= 1.0
    run.start(run.claimed_at + 1.0)
    run.stop_reason = stopped
    metrics.ended(run, Finish(lease=run.task.lease, outcome=Outcome.SUCCEEDED, run_seconds=0.2))


def test_a_run_s_time_is_counted_by_type_and_its_wait_by_queue(name: str) -> None:
    end(name, name)
    assert value("run_seconds_count", type=name) == 1
    assert value("run_seconds_bucket", type=name, le="0.25") == 1
    assert value("run_seconds_bucket", type=name, le="0.1") == 0
    assert value("wait_seconds_sum", queue=name) == pytest.approx(3.0), "in the queue and here"
    assert value("timeouts_total", type=name) == 0


def test_a_task_that_never_started_has_neither(name: str) -> None:
    run = run_of(claimed(name, queue=name))
    metrics.ended(run, Finish(lease=run.task.lease, outcome=Outcome.RELEASED))
    assert value("run_seconds_count", type=name) == 0
    assert value("wait_seconds_count", queue=name) == 0


def test_timeouts_are_counted_by_type(name: str) -> None:
    end(name, name, stopped=StopReason.TIMEOUT)
    end(name, name, stopped=StopReason.CANCELLED)
    assert value("timeouts_total", type=name) == 1


def test_types_that_a_producer_makes_up_share_one_label(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_types", set())
    labels = {metrics.type_label(f"made-up-{n}") for n in range(5000)}
    assert len(labels) == MOST_SERIES + 1
    assert "other" in labels
    assert metrics.type_label("made-up-0") == "made-up-0", "who came first keeps its series"


def test_queues_that_a_producer_makes_up_share_one_series() -> None:
    times, registry = Seconds("waits", "How long", "queue"), CollectorRegistry()
    registry.register(times)
    for n in range(MOST_SERIES + 5):
        times.observe(f"made-up-{n}", 1.0)
    times.observe("made-up-0", 1.0)
    assert registry.get_sample_value("waits_count", {"queue": "other"}) == 5
    assert registry.get_sample_value("waits_count", {"queue": "made-up-0"}) == 2
    assert registry.get_sample_value("waits_count", {"queue": f"made-up-{MOST_SERIES}"}) is None


def test_gauges_sum_the_workers_of_a_process_and_forget_those_that_have_gone() -> None:
    gauges, registry = Gauges(), CollectorRegistry()
    registry.register(gauges)
    first, second = object(), object()
    gauges.watch(first, lambda: Figures(slots=20, slots_in_use=3, loop_blocked_seconds=1.0))
    gauges.watch(second, lambda: Figures(slots=4, slots_in_use=1, loop_blocked_seconds=7.5))
    text = generate_latest(registry).decode()
    assert "\ntidemill_worker_slots 24.0\n" in text
    assert "\ntidemill_worker_slots_in_use 4.0\n" in text
    assert "\ntidemill_worker_loop_blocked_seconds 7.5\n" in text, "the one that is blocked longest"
    gauges.forget(first)
    gauges.forget(second)
    gauges.forget(second)
    assert "\ntidemill_worker_slots 0.0\n" in generate_latest(registry).decode()


async def test_a_blocked_loop_is_seen_while_it_is_blocked_and_counted_afterwards() -> None:
    health = Health(Ledger(), lambda: True)
    before = value("loop_lag_seconds_sum")
    assert health.blocked_seconds == 0.0
    health.turned(asyncio.get_running_loop())
    health.turned(asyncio.get_running_loop())  # asks no second time while an answer is owed
    time.sleep(0.05)  # noqa: ASYNC251 - blocking the loop is what is shown
    assert health.blocked_seconds >= 0.05
    await eventually(lambda: health.blocked_seconds == 0.0)
    assert value("loop_lag_seconds_sum") - before >= 0.05


def test_how_often_a_process_began_anew_outlasts_its_counters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(recycles.VARIABLE, "tasks=2,nonsense=7,memory=x")
    tasks, memory = (
        value("recycles_total", reason="tasks"),
        value("recycles_total", reason="memory"),
    )
    recycles.note("tasks")
    recycles.note("memory")
    assert os.environ[recycles.VARIABLE] == "tasks=3,memory=1"
    recycles.recall()
    assert value("recycles_total", reason="tasks") == tasks + 3
    assert value("recycles_total", reason="memory") == memory + 1


def test_counting_a_run_costs_little(name: str) -> None:
    run = run_of(claimed(name, queue=name))
    run.start(run.claimed_at)
    finish = Finish(lease=run.task.lease, outcome=Outcome.SUCCEEDED, run_seconds=0.001)
    began = time.process_time()
    for _ in range(10_000):
        metrics.ended(run, finish)
    assert time.process_time() - began < 5, "a fraction of what a short task costs"
    assert value("run_seconds_count", type=name) == 10_000


async def test_a_handler_that_goes_on_past_its_end_is_counted_as_stuck(name: str) -> None:
    app = App()
    release = asyncio.Event()

    @app.task(name=name)
    async def task() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    bench = Bench(app)
    await bench.run(name, timeout_seconds=0.01)
    assert bench.slots.stuck == 1
    assert value("stuck_handlers_total", type=name) == 1
    release.set()
    await eventually(lambda: bench.slots.stuck == 0)
    await bench.slots.close()
