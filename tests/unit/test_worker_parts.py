"""Small parts: queue names, identity, health, run times, what is due for a heartbeat."""

import asyncio
import logging
import time

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from tests.support.worker import claimed, run_of
from tidemill.errors import ConfigurationError
from tidemill.models import WorkerIdentity
from tidemill.settings import Settings
from tidemill_worker import probes
from tidemill_worker.backoff import Backoff
from tidemill_worker.heart import TIMEOUT_GRACE_SECONDS, Hearing, Heart, lease_until
from tidemill_worker.identity import container_instance, describe
from tidemill_worker.ledger import Ledger
from tidemill_worker.probes import Health
from tidemill_worker.queues import parse_queues
from tidemill_worker.run import Run
from tidemill_worker.runtimes import Seconds


def test_queues_are_names_or_all() -> None:
    assert parse_queues("*") is None
    assert parse_queues("emails, default=2") == ("emails", "default", "default")


@pytest.mark.parametrize("setting", ["", ",", "*,a", "a b", "a=0", "a=x", "a=1000"])
def test_other_queues_are_refused(setting: str) -> None:
    with pytest.raises(ConfigurationError, match="TIDEMILL_QUEUES"):
        parse_queues(setting)


@pytest.mark.parametrize("setting", ["*", "a=2,b", " * "])
def test_a_strict_order_is_that_of_names_without_weights(setting: str) -> None:
    assert parse_queues("urgent, rest", strict=True) == ("urgent", "rest")
    with pytest.raises(ConfigurationError, match=r"TIDEMILL_QUEUE_ORDER strict: TIDEMILL_QUEUES"):
        parse_queues(setting, strict=True)


def test_only_in_a_pod_a_worker_names_its_container_s_instance() -> None:
    assert describe(Settings(), None).instance is None
    in_pod = describe(Settings(pod_uid="u", pod_name="p", container="c"), ("a",))
    assert (in_pod.pod_uid, in_pod.container, in_pod.queues) == ("u", "c", ("a",))
    assert in_pod.instance == container_instance()
    assert in_pod.instance
    assert in_pod.name.startswith("p-")


def test_run_times_are_a_prometheus_histogram() -> None:
    times = Seconds("tidemill_worker_run_seconds", "How long", "type")
    registry = CollectorRegistry()
    registry.register(times)
    for seconds in (0.001, 0.005, 0.3, 100_000):
        times.observe("a", seconds)
    text = generate_latest(registry).decode()
    assert 'tidemill_worker_run_seconds_bucket{le="0.005",type="a"} 2.0' in text
    assert 'tidemill_worker_run_seconds_bucket{le="0.5",type="a"} 3.0' in text
    assert 'tidemill_worker_run_seconds_bucket{le="+Inf",type="a"} 4.0' in text
    assert 'tidemill_worker_run_seconds_count{type="a"} 4.0' in text
    assert 'tidemill_worker_run_seconds_sum{type="a"} 100000.306' in text


def started(*, ago: float, timeout: float) -> Run:
    run = run_of(claimed(timeout_seconds=timeout))
    run.start(time.monotonic() - ago)
    return run


async def test_a_process_is_sick_when_a_handler_blocks_its_loop_past_its_timeout() -> None:
    ledger = Ledger()
    health = Health(ledger, lambda: True)
    ledger.add([started(ago=100, timeout=300)])
    assert health.sick() is None
    # still running 90 s past its timeout, but the loop turns: it only ignores its cancellation
    ledger.add([started(ago=100, timeout=10)])
    assert health.sick() is None
    health._loop_turned_at = time.monotonic() - 95
    assert "blocks the event loop past its timeout" in (health.sick() or "")
    health.turned(asyncio.get_running_loop())
    await asyncio.sleep(0)
    assert health.sick() is None


def test_a_process_is_sick_when_its_heart_stands_still() -> None:
    health = Health(Ledger(), lambda: True)
    health._beat_at -= probes.STUCK_SECONDS + 1
    assert "no heartbeat was tried" in (health.sick() or "")


@pytest.fixture
def heart() -> Heart:
    ledger = Ledger()

    def ignore(*_: object) -> None: ...

    hearing = Hearing(lost=ignore, cancelled=ignore, unknown=ignore, failed=ignore, marked=ignore)
    settings = Settings(lease_seconds=30, heartbeat_seconds=5)
    return Heart(
        settings, ledger, lambda: WorkerIdentity(1, 1), hearing, Health(ledger, lambda: True)
    )


def test_only_leases_older_than_a_heartbeat_are_extended(heart: Heart) -> None:
    now = time.monotonic()
    fresh = Run(claimed(), now, lease_until(now, 30.0))
    older = Run(claimed(), now - 6, lease_until(now - 6, 30.0))
    heart._ledger.add([fresh, older])
    assert heart._due(now) == {30.0: [older]}


def test_a_task_past_its_timeout_is_not_extended_but_its_outcome_is_waited_for(
    heart: Heart,
) -> None:
    now = time.monotonic()
    hung, recorded = (Run(claimed(timeout_seconds=10), 0, lease_until(now - 6, 30)) for _ in "ab")
    for run in (hung, recorded):
        run.start(now - 10 - TIMEOUT_GRACE_SECONDS - 1)
    recorded.concluded = True
    heart._ledger.add([hung, recorded])
    assert heart._due(now) == {30.0: [recorded]}


def test_a_short_lease_makes_the_heart_beat_faster(heart: Heart) -> None:
    assert heart._interval() == 5
    heart._ledger.add([run_of(claimed(lease_seconds=3.0))])
    assert heart._interval() == 1


def test_a_worker_believes_in_its_lease_for_less_than_it_lasts() -> None:
    assert lease_until(100.0, 30.0) == pytest.approx(127.0)


def test_a_failure_is_told_by_its_type_where_it_has_no_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log, backoff = logging.getLogger("tidemill.worker"), Backoff()
    backoff.log(log, "heartbeats fail", TimeoutError())
    assert [record.getMessage() for record in caplog.records] == ["heartbeats fail: TimeoutError"]
