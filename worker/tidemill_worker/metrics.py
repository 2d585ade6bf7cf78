"""The worker's metrics, in the registry that every component of the process shares.

docs/observability.md lists them; a test holds it to this. Labels come from bounded sets: of task
types and queues only the first `MOST_SERIES` get series of their own, for a producer may make any.
"""

from typing import TYPE_CHECKING, Final

from tidemill.metrics import BATCH_BUCKETS, REGISTRY, Counter, Histogram
from tidemill.sdk.context import StopReason
from tidemill_worker.gauges import Gauges
from tidemill_worker.runtimes import MOST_SERIES, OTHER, Seconds

if TYPE_CHECKING:
    from tidemill.models import Finish
    from tidemill_worker.run import Run

RECYCLE_REASONS: Final = ("tasks", "memory")

ATTEMPTS = Counter(
    "tidemill_worker_attempts_total", "Attempts recorded, by type and outcome", ["type", "outcome"]
)
RUN_SECONDS = Seconds(
    "tidemill_worker_run_seconds", "How long handlers ran, in seconds, by type", "type"
)
WAIT_SECONDS = Seconds(
    "tidemill_worker_wait_seconds",
    "From when a task could be claimed to the start of its handler, in seconds, by queue",
    "queue",
)
TIMEOUTS = Counter(
    "tidemill_worker_timeouts_total", "Attempts that ran past their timeout, by type", ["type"]
)
STUCK_HANDLERS = Counter(
    "tidemill_worker_stuck_handlers_total",
    "Attempts recorded although their handler went on, by type: its slot stays taken",
    ["type"],
)
SET_ASIDE = Counter(
    "tidemill_worker_set_aside_total",
    "Tasks set aside uncharged because their type ran as often as it may in this process, by type",
    ["type"],
)
UNKNOWN_TYPES = Counter(
    "tidemill_worker_unknown_types_total",
    "Tasks that were claimed and given back because this worker lacks their type",
    ["type"],
)
PROCESS_DEATHS = Counter(
    "tidemill_worker_process_deaths_total",
    "Child processes that ended by themselves or were killed for their memory, by how",
    ["how"],
)
LEASES_LOST = Counter(
    "tidemill_worker_leases_lost_total", "Leases that were lost before their outcome was recorded"
)
LEASES_EXTENDED = Counter(
    "tidemill_worker_leases_extended_total", "Leases that heartbeats have extended"
)
HEARTBEATS = Counter(
    "tidemill_worker_heartbeats_total", "Heartbeats tried, by result: ok or failed", ["result"]
)
CLAIMED = Histogram(
    "tidemill_worker_claimed_tasks", "Tasks that one claim brought", buckets=(0, *BATCH_BUCKETS)
)
RECORDED = Histogram(
    "tidemill_worker_recorded_tasks", "Outcomes that one flush recorded", buckets=BATCH_BUCKETS
)
DATABASE_ERRORS = Counter(
    "tidemill_worker_database_errors_total", "Statements that failed, by what they did", ["act"]
)
LOOP_LAG = Histogram(
    "tidemill_worker_loop_lag_seconds",
    "How long the event loop took to answer the heart, which asks about once a second",
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
RECYCLES = Counter(
    "tidemill_worker_recycles_total",
    "How often this process has started itself anew, by reason: tasks or memory",
    ["reason"],
)
GAUGES = Gauges()

for _each in (RUN_SECONDS, WAIT_SECONDS, GAUGES):
    REGISTRY.register(_each)
for _result in ("ok", "failed"):
    HEARTBEATS.labels(_result)
for _reason in RECYCLE_REASONS:
    RECYCLES.labels(_reason)
for _act in ("claim", "finish", "heartbeat"):
    DATABASE_ERRORS.labels(_act)

_types: set[str] = set()


def type_label(kind: str) -> str:
    """Return what stands for the type `kind` in labels: itself, or `other`."""
    if kind in _types:
        return kind
    if len(_types) >= MOST_SERIES:
        return OTHER
    _types.add(kind)
    return kind


def ended(run: "Run", finish: "Finish") -> None:
    """Count how a run ended: how long it ran and had waited, and whether it had to be stopped."""
    task = run.task
    if finish.run_seconds:
        RUN_SECONDS.observe(task.type, finish.run_seconds)
    if run.started_at is not None:
        WAIT_SECONDS.observe(task.queue, task.waited_seconds + run.started_at - run.claimed_at)
    if run.stop_reason is StopReason.TIMEOUT:
        TIMEOUTS.labels(type_label(task.type)).inc()
