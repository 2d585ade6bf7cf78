"""The worker's metrics, in the registry that every component of the process shares."""

from tidemill.metrics import BATCH_BUCKETS, Counter, Gauge, Histogram

ATTEMPTS = Counter(
    "tidemill_worker_attempts_total", "Attempts recorded, by type and outcome", ["type", "outcome"]
)
UNKNOWN_TYPES = Counter(
    "tidemill_worker_unknown_types_total",
    "Tasks that were claimed and given back because this worker lacks their type",
    ["type"],
)
SLOTS = Gauge("tidemill_worker_slots", "Tasks that this process can run at once")
SLOTS_IN_USE = Gauge("tidemill_worker_slots_in_use", "Slots that run a task")
LEASES_HELD = Gauge("tidemill_worker_leases_held", "Leases held, running or not")
LEASES_LOST = Counter(
    "tidemill_worker_leases_lost_total", "Leases that were lost before their outcome was recorded"
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
